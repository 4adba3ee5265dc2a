#include "proc/detail/crew.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <new>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/event_count.hpp"
#include "ipc/base/futex.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/process_id.hpp"

namespace procpool::proc::detail {
namespace {

enum Token : std::uint64_t { bell_rings, news_is_there, nursery_ends, time_is_up };

constexpr int kFramesAtOnce = 256;

WorkerNews killed_with_nursery(const StartRequest& who) {
  return {.kind = WorkerNews::Kind::ended,
          .who = who,
          .status = ExitStatus::signaled(SIGKILL),
          .text = "the nursery has died"};
}

}  // namespace

Crew::Crew(const Options& options, Nursery& nursery)
    : options_{options},
      nursery_{nursery},
      owner_{::getpid()},
      board_memory_{TaskBoard::make(options.size)},
      board_{board_memory_},
      bell_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
  if (!bell_.valid()) throw_errno("eventfd", "pool");
  poller_.add(bell_.fd(), Interest::read, bell_rings);
  poller_.add(timer_.fd(), Interest::read, time_is_up);
  for (std::uint32_t i = 0; i < options.size.workers; ++i) {
    workers_.push_back({.results = RingReader{board_.area(i).results, board_.ring(i)},
                        .who = {.worker = i, .incarnation = 0}});
  }
  connect();
  start_due();
  await_start();
}

Crew::~Crew() {
  if (::getpid() == owner_) kill();
}

// ---- The nursery

void Crew::connect() {
  connection_.emplace(nursery_.connect());
  poller_.add(connection_->channel.fd(), Interest::read, news_is_there);
  poller_.add(connection_->pidfd.fd(), Interest::read, nursery_ends);
  const std::array descriptors{board_memory_.fd(), arena_.fd(), bell_.fd()};
  connection_->channel.send(std::span<const std::byte>{encode(options_.setup)}, descriptors);
}

void Crew::disconnect() {
  poller_.remove(connection_->channel.fd());
  poller_.remove(connection_->pidfd.fd());
  connection_.reset();
}

// Until every worker is forked, or could not be.
void Crew::await_start() {
  const auto is_starting = [](const Worker& worker) { return worker.phase == Phase::starting; };
  while (connection_ && std::any_of(workers_.begin(), workers_.end(), is_starting)) {
    std::array<pollfd, 2> either{
        {{connection_->channel.fd(), POLLIN, 0}, {connection_->pidfd.fd(), POLLIN, 0}}};
    retry_eintr([&] { return ::poll(either.data(), either.size(), -1); });
    read_news(nullptr);
  }
}

// ---- The workers' lives

void Crew::start_due() {
  if (is_ending_) return;
  for (Worker& worker : workers_) {
    if (worker.phase == Phase::absent && worker.start_at.expired()) start(worker);
  }
}

void Crew::start(Worker& worker) {
  WorkerArea& area = board_.area(worker.who.worker);
  std::destroy_at(&area);
  new (&area) WorkerArea{};
  worker.results = RingReader{area.results, board_.ring(worker.who.worker)};
  worker.received = 0;
  worker.is_trusted = true;
  ++worker.who.incarnation;
  try {
    if (!connection_) connect();
    connection_->channel.send(view_of(worker.who));
    worker.phase = Phase::starting;
  } catch (const Error& error) {
    put_off(worker, error.what());
  }
}

void Crew::put_off(Worker& worker, const std::string& reason) {
  reason_ = reason;
  worker.phase = Phase::absent;
  ++worker.failures;
  const std::size_t remembered = std::min(worker.failures, options_.restart.memory());
  const std::vector<std::chrono::milliseconds> lives(remembered, std::chrono::milliseconds{0});
  worker.start_at =
      Deadline::in(options_.restart.delay_after(lives).value_or(options_.restart.longest_delay));
}

void Crew::read_news(Receiver* receiver) {
  while (connection_) {
    Bytes message;
    auto received = connection_->channel.try_receive(message);
    if (received.outcome != ipc::Channel::Outcome::message) break;
    const WorkerNews news = decode_news(message);
    Worker& worker = workers_.at(news.who.worker);
    if (news.who.incarnation != worker.who.incarnation || worker.phase == Phase::absent) continue;
    if (news.kind == WorkerNews::Kind::started && received.descriptor_count == 0) {
      put_off(worker, "a worker's pidfd was lost: too many open files");
    } else if (news.kind == WorkerNews::Kind::started) {
      admit(worker, news.pid, std::move(received.descriptors.front()));
    } else if (news.kind == WorkerNews::Kind::failed) {
      put_off(worker, news.text);
    } else {
      lose(worker, news, receiver);
    }
  }
  if (connection_ && has_ended(connection_->pidfd.fd())) lose_all(receiver);
}

void Crew::admit(Worker& worker, pid_t pid, UniqueFd pidfd) {
  worker.phase = Phase::present;
  worker.pid = pid;
  worker.pidfd = std::move(pidfd);
  auto& admitted = board_.area(worker.who.worker).admitted;
  admitted.store(worker.who.incarnation);
  futex_wake(admitted, kEverybody);
  if (is_ending_) send_signal(worker.pidfd.fd(), SIGKILL);
}

// Its workers die with it, those that have not been admitted without having touched anything.
void Crew::lose_all(Receiver* receiver) {
  disconnect();
  for (Worker& worker : workers_) {
    if (worker.phase == Phase::present) {
      send_signal(worker.pidfd.fd(), SIGKILL);
      wait_ready(worker.pidfd.fd(), POLLIN, Deadline::never());
    }
    if (worker.phase == Phase::starting) {
      worker.phase = Phase::absent;
      worker.start_at = Deadline::now();
    } else if (worker.phase == Phase::present) {
      lose(worker, killed_with_nursery(worker.who), receiver);
    }
  }
}

void Crew::lose(Worker& worker, const WorkerNews& news, Receiver* receiver) {
  if (receiver != nullptr) {
    read_results(worker, *receiver, std::numeric_limits<int>::max());
    give_back(worker, news, *receiver);
  }
  const bool came_up = board_.area(worker.who.worker).state.load() != WorkerArea::kStarting;
  worker.phase = Phase::absent;
  worker.pid = 0;
  worker.pidfd.reset();
  worker.pieces.clear();
  if (came_up) {
    worker.failures = 0;
    worker.start_at = Deadline::now();
  } else {
    put_off(worker, "a worker has not come up: " + news.status.text() +
                        (news.text.empty() ? "" : ": " + news.text));
  }
}

void Crew::give_back(const Worker& worker, const WorkerNews& news, Receiver& receiver) {
  for (TaskId task = 0; task < never_used_; ++task) {
    if (board_.taker_of(task) != worker.who.worker) continue;
    const std::uint64_t item = board_.area(worker.who.worker).item.load();
    const bool in_hand = item / WorkerArea::kPhases > worker.received;
    board_.take_back(task);
    receiver.on_lost(task, {.in_hand = in_hand,
                            .overdue = in_hand && item % WorkerArea::kPhases == WorkerArea::kDoomed,
                            .status = news.status,
                            .last_line = news.text});
    return;
  }
}

std::optional<std::string> Crew::unavailable() const {
  const auto is_absent = [](const Worker& worker) { return worker.phase == Phase::absent; };
  if (!std::all_of(workers_.begin(), workers_.end(), is_absent)) return std::nullopt;
  return reason_;
}

void Crew::close() {
  is_ending_ = true;
  board_.closing().store(1);
  for (const Worker& worker : workers_) wake(board_.area(worker.who.worker));
}

void Crew::kill() {
  is_ending_ = true;
  for (const Worker& worker : workers_) {
    if (worker.phase == Phase::present) send_signal(worker.pidfd.fd(), SIGKILL);
  }
  while (connection_ && !is_deserted()) {
    std::array<pollfd, 2> either{
        {{connection_->channel.fd(), POLLIN, 0}, {connection_->pidfd.fd(), POLLIN, 0}}};
    retry_eintr([&] { return ::poll(either.data(), either.size(), -1); });
    read_news(nullptr);
  }
}

bool Crew::is_deserted() const noexcept {
  return std::all_of(workers_.begin(), workers_.end(),
                     [](const Worker& worker) { return worker.phase == Phase::absent; });
}

std::vector<pid_t> Crew::pids() const {
  std::vector<pid_t> pids;
  for (const Worker& worker : workers_) {
    if (worker.phase == Phase::present) pids.push_back(worker.pid);
  }
  return pids;
}

// ---- Tasks

std::optional<TaskId> Crew::take_free() noexcept {
  if (!free_.empty()) {
    const TaskId task = free_.back();
    free_.pop_back();
    return task;
  }
  if (never_used_ == capacity()) return std::nullopt;
  return never_used_++;
}

std::optional<TaskId> Crew::offer(const Task& task) {
  if (task.payload.size() > Arena::kCapacity) {
    throw Error{"submit", "task", "its arguments are larger than 4 GiB"};
  }
  if (!board_.has_room()) return std::nullopt;
  const ImageOffset thunk = images_.locate(reinterpret_cast<const void*>(task.thunk));
  const auto id = take_free();
  if (!id) return std::nullopt;
  TaskRecord& record = board_.record(*id);
  if (!place_payload(record, task.payload)) {
    free_.push_back(*id);
    return std::nullopt;
  }
  record.thunk = thunk;
  record.first_item = 0;
  record.items = task.items;
  record.is_timed = task.is_timed ? 1 : 0;
  board_.put_up(*id);
  wake_workers();
  return id;
}

bool Crew::place_payload(TaskRecord& record, const Pieces& payload) {
  record.payload_size = payload.size();
  if (record.payload_size <= TaskRecord::kMostInside) {
    payload.copy_to(record.inside.data());
    return true;
  }
  const auto at = arena_.allocate(record.payload_size);
  if (!at) return false;
  record.payload_at = *at;
  payload.copy_to(arena_.data() + *at);
  return true;
}

void Crew::free_payload(const TaskRecord& record) {
  if (record.payload_size > TaskRecord::kMostInside) {
    arena_.free(record.payload_at, record.payload_size);
  }
}

void Crew::offer_again(TaskId task, std::uint32_t first_item) {
  board_.record(task).first_item = first_item;
  board_.put_up(task);
  wake_workers();
}

void Crew::release(TaskId task) {
  board_.take_back(task);
  free_payload(board_.record(task));
  free_.push_back(task);
}

// As many as there are tasks for, beyond those who look for one anyway.
void Crew::wake_workers() noexcept {
  std::uint64_t needed = board_.waiting();
  for (const Worker& worker : workers_) {
    if (board_.area(worker.who.worker).state.load() == WorkerArea::kLooking && needed > 0) --needed;
  }
  for (const Worker& worker : workers_) {
    if (needed == 0) return;
    WorkerArea& area = board_.area(worker.who.worker);
    if (area.state.load() != WorkerArea::kAsleep) continue;
    wake(area);
    --needed;
  }
}

// Those who look for a task, or were woken for it, may be stopped (SIGSTOP): then all others shall
// look as well.
void Crew::wake_if_stuck() noexcept {
  const std::uint64_t waiting = board_.waiting();
  if (waiting == 0 || waiting != waiting_before_) {
    waiting_before_ = waiting;
    stuck_at_ = Deadline::in(kLongestSleep);
    if (waiting > 0) wake_workers();
  } else if (stuck_at_.expired()) {
    for (const Worker& worker : workers_) wake(board_.area(worker.who.worker));
  }
}

void Crew::wake(WorkerArea& area) noexcept {
  std::uint32_t asleep = WorkerArea::kAsleep;
  if (area.state.compare_exchange_strong(asleep, WorkerArea::kLooking)) futex_wake(area.state, 1);
}

Deadline Crew::end_overdue(TaskId task, Deadline::Clock::duration limit) {
  using Clock = Deadline::Clock;
  const Deadline not_before = Deadline::in(limit);
  const auto taker = board_.taker_of(task);
  if (!taker) return not_before;
  const Worker& worker = workers_[*taker];
  WorkerArea& area = board_.area(*taker);
  std::uint64_t item = area.item.load();
  const std::uint64_t number = item / WorkerArea::kPhases;
  if (item % WorkerArea::kPhases != WorkerArea::kRunning) return not_before;
  // Some results are still to be read: the item may be another task's.
  if (number != worker.received + 1) return Deadline::in(std::chrono::milliseconds{1});
  const Deadline end =
      Deadline::after(Clock::time_point{Clock::duration{area.began.load()}}, limit);
  if (!end.expired()) return end;
  const std::uint64_t doomed = number * WorkerArea::kPhases | WorkerArea::kDoomed;
  if (area.item.compare_exchange_strong(item, doomed)) send_signal(worker.pidfd.fd(), SIGKILL);
  return not_before;
}

// ---- What comes back

bool Crew::receive(Receiver& receiver) {
  bool any = false;
  for (Worker& worker : workers_) {
    if (worker.phase == Phase::present && !worker.results.empty()) {
      any = read_results(worker, receiver, kFramesAtOnce) || any;
    }
  }
  return any;
}

// A worker that writes nonsense is killed, and believed nothing more.
bool Crew::read_results(Worker& worker, Receiver& receiver, int most) {
  bool any = false;
  try {
    for (int i = 0; i < most && worker.is_trusted; ++i) {
      const auto frame = worker.results.next();
      if (!frame) break;
      read_result(worker, *frame, receiver);
      any = true;
    }
    worker.results.release();
    board_.area(worker.who.worker).room.notify_one();
  } catch (const Error&) {
    worker.is_trusted = false;
    send_signal(worker.pidfd.fd(), SIGKILL);
  }
  return any;
}

void Crew::read_result(Worker& worker, const Frame& frame, Receiver& receiver) {
  if (frame.task >= never_used_ || board_.taker_of(frame.task) != worker.who.worker) {
    throw Error{"read", "result ring", "a result is of another's task"};
  }
  View content = frame.content;
  if (frame.kind == FrameKind::piece || !worker.pieces.empty()) {
    worker.pieces.insert(worker.pieces.end(), content.begin(), content.end());
    content = worker.pieces;
  }
  if (frame.kind == FrameKind::piece) return;
  ++worker.received;
  if (frame.kind == FrameKind::value) {
    receiver.on_value(frame.task, content);
  } else {
    receiver.on_exception(frame.task, content);
  }
  worker.pieces = {};
}

void Crew::tend(Receiver& receiver) {
  for (const Readiness& ready : poller_.wait(Deadline::now())) {
    if (ready.token == bell_rings) {
      eventfd_t rings = 0;
      ::eventfd_read(bell_.fd(), &rings);
    } else if (ready.token == time_is_up) {
      timer_.try_take();
      timer_at_ = Deadline::never();
    }
  }
  read_news(&receiver);
  start_due();
  if (!is_ending_ && is_deserted()) receiver.on_unavailable(reason_);
  wake_if_stuck();
  set_timer();
}

void Crew::wake_at(Deadline deadline) {
  wake_at_ = deadline;
  set_timer();
}

void Crew::set_timer() {
  Deadline next = wake_at_;
  if (!is_ending_) {
    for (const Worker& worker : workers_) {
      if (worker.phase == Phase::absent) next = std::min(next, worker.start_at);
    }
  }
  if (next == timer_at_) return;
  timer_.set(next);
  timer_at_ = next;
}

}  // namespace procpool::proc::detail
