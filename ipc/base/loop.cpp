#include "ipc/base/loop.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace procpool {
namespace {

std::uint64_t token_of(const void* object) noexcept {
  return reinterpret_cast<std::uintptr_t>(object);
}

struct CallbackForReadiness final : Loop::Receiver {
  explicit CallbackForReadiness(Loop::Watch::Callback its_callback)
      : callback{std::move(its_callback)} {}
  void on_ready(const Readiness& readiness) override { callback(readiness); }
  void on_deadline() override {}
  const Loop::Watch::Callback callback;
};

struct CallbackForDeadline final : Loop::Receiver {
  explicit CallbackForDeadline(Loop::Timer::Callback its_callback)
      : callback{std::move(its_callback)} {}
  void on_ready(const Readiness&) override {}
  void on_deadline() override { callback(); }
  const Loop::Timer::Callback callback;
};

}  // namespace

Loop::Loop(Poller::Backend backend) : poller_{backend} {}

Loop::Watch::Watch(Loop& loop, int fd, Interest interest, Shared receiver)
    : loop_{loop}, receiver_{std::move(receiver)}, fd_{fd}, interest_{interest} {
  loop_.poller_.add(fd_, interest_, token_of(this));
}

Loop::Watch::Watch(Loop& loop, int fd, Interest interest, Callback callback)
    : Watch{loop, fd, interest, std::make_shared<CallbackForReadiness>(std::move(callback))} {}

Loop::Watch::Watch(Loop& loop, int fd, Interest interest, Receiver& receiver)
    : Watch{loop, fd, interest, lent(receiver)} {}

Loop::Watch::~Watch() {
  loop_.forget(*this);
  try {
    loop_.poller_.remove(fd_);
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch)
    // Closed before its watch: the kernel has taken it out already.
  }
}

void Loop::Watch::set_interest(Interest interest) {
  if (interest == interest_) return;
  loop_.poller_.modify(fd_, interest, token_of(this));
  interest_ = interest;
}

Loop::Timer::Timer(Loop& loop, Callback callback)
    : loop_{loop}, receiver_{std::make_shared<CallbackForDeadline>(std::move(callback))} {}

Loop::Timer::~Timer() {
  cancel();
}

void Loop::Timer::set(Deadline deadline) {
  if (deadline.is_never()) return cancel();
  deadline_ = deadline;
  if (place_ != kNotQueued && deadline >= queued_for_) return;  // moved when the old moment comes
  loop_.enqueue(*this);
}

void Loop::Timer::cancel() noexcept {
  deadline_ = Deadline::never();
  loop_.dequeue(*this);
}

void Loop::run() {
  stopping_ = false;
  while (!stopping_) run_once(Deadline::never());
}

void Loop::run_once(Deadline deadline) {
  if (next_ready_ == ready_.size()) {
    const auto found = poller_.wait(std::min(deadline, next_timer()));
    ready_.assign(found.begin(), found.end());
    next_ready_ = 0;
  }
  now_ = Deadline::Clock::now();
  dispatch();
  fire_due_timers();
}

void Loop::dispatch() {
  while (next_ready_ < ready_.size()) {
    const Readiness ready = ready_[next_ready_++];
    if (ready.token == 0) continue;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): a token is what the kernel keeps for us, 64 bits
    const auto* watch = reinterpret_cast<Watch*>(static_cast<std::uintptr_t>(ready.token));
    const Shared receiver = watch->receiver_;
    receiver->on_ready(ready);
  }
}

// A call-back may destroy any watch, and its readiness may stand further down in the same batch.
void Loop::forget(const Watch& watch) noexcept {
  for (std::size_t i = next_ready_; i < ready_.size(); ++i) {
    if (ready_[i].token == token_of(&watch)) ready_[i].token = 0;
  }
}

Deadline Loop::next_timer() noexcept {
  while (!timers_.empty()) {
    Timer& first = *timers_.front();
    if (first.queued_for_ == first.deadline_) return first.deadline_;
    first.queued_for_ = first.deadline_;
    sift_down(0);
  }
  return Deadline::never();
}

// What a call-back sets for a moment that is due already waits for the next turn, so that a timer
// which always sets itself again does not keep descriptors from being served.
void Loop::fire_due_timers() {
  const auto due = Deadline::at(now_);
  for (std::size_t left = timers_.size(); left > 0 && next_timer() <= due; --left) {
    Timer& timer = *timers_.front();
    timer.cancel();
    const Shared receiver = timer.receiver_;
    receiver->on_deadline();
  }
}

void Loop::enqueue(Timer& timer) {
  timer.queued_for_ = timer.deadline_;
  if (timer.place_ == Timer::kNotQueued) {
    timers_.push_back(&timer);
    timer.place_ = timers_.size() - 1;
  }
  sift_up(timer.place_);
}

void Loop::dequeue(Timer& timer) noexcept {
  if (timer.place_ == Timer::kNotQueued) return;
  const std::size_t hole = std::exchange(timer.place_, Timer::kNotQueued);
  Timer* last = timers_.back();
  timers_.pop_back();
  if (last == &timer) return;
  place_timer(hole, last);
  sift_up(hole);
  sift_down(last->place_);
}

void Loop::place_timer(std::size_t index, Timer* timer) noexcept {
  timers_[index] = timer;
  timer->place_ = index;
}

void Loop::sift_up(std::size_t index) noexcept {
  Timer* timer = timers_[index];
  while (index > 0) {
    const std::size_t parent = (index - 1) / 2;
    if (timers_[parent]->queued_for_ <= timer->queued_for_) break;
    place_timer(index, timers_[parent]);
    index = parent;
  }
  place_timer(index, timer);
}

void Loop::sift_down(std::size_t index) noexcept {
  Timer* timer = timers_[index];
  for (;;) {
    std::size_t child = 2 * index + 1;
    if (child >= timers_.size()) break;
    if (child + 1 < timers_.size() &&
        timers_[child + 1]->queued_for_ < timers_[child]->queued_for_) {
      ++child;
    }
    if (timer->queued_for_ <= timers_[child]->queued_for_) break;
    place_timer(index, timers_[child]);
    index = child;
  }
  place_timer(index, timer);
}

}  // namespace procpool
