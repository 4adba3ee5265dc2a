#include "proc/detail/scheduler.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "ipc/base/error.hpp"
#include "ipc/base/event_count.hpp"
#include "ipc/base/futex.hpp"
#include "ipc/base/io.hpp"
#include "proc/detail/remote_exception.hpp"
#include "proc/pool_error.hpp"

namespace procpool::proc::detail {
namespace {

// About as long as a sleep and a wake-up cost: so long results are waited for awake.
constexpr std::chrono::microseconds kAwake{50};

// Between looks at the clock, and at what is not results while there are results all the time.
constexpr int kTurnsBetween = 64;

}  // namespace

Scheduler::Scheduler(std::unique_ptr<Transport> transport, std::vector<ExceptionType> exceptions)
    : transport_{std::move(transport)},
      exceptions_{std::move(exceptions)},  // NOLINT(bugprone-throw-keyword-missing): a list
      owner_{::getpid()} {}

Scheduler::~Scheduler() {
  if (is_usable()) terminate();
}

bool Scheduler::is_usable() const noexcept {
  return owner_ == ::getpid();
}

// ---- What goes out

std::optional<Scheduler::Ticket> Scheduler::submit(const Order& order,
                                                   const std::shared_ptr<Sink>& sink,
                                                   Deadline deadline) {
  if (!is_usable()) throw Error{"submit", "pool", "it was made before fork"};
  if (!is_open_) throw Error{"submit", "pool", "it is closed"};
  if (const auto reason = transport_->unavailable()) {
    tend();  // perhaps it is time to try again
    if (transport_->unavailable()) {
      const auto failure = std::make_exception_ptr(PoolUnavailable{*reason});
      for (std::size_t i = 0; i < order.items; ++i) sink->on_failure(order.first_item + i, failure);
      return Ticket{};
    }
  }
  std::optional<TaskId> id;
  const auto offer = [&] {
    id = transport_->offer({.thunk = order.thunk,
                            .payload = order.payload,
                            .items = order.items,
                            .is_timed = order.options.deadline.has_value()});
    return id.has_value();
  };
  if (!offer() && (deadline.expired() || !drive_until(offer, deadline))) return std::nullopt;
  if (tasks_.size() <= *id) tasks_.resize(*id + 1);
  tasks_[*id] = {.sink = sink,
                 .number = next_number_++,
                 .first_item = order.first_item,
                 .items = order.items,
                 .settled = 0,
                 .attempts = 0,
                 .options = order.options};
  ++unsettled_;
  if (order.options.deadline) {
    timed_.push_back(*id);
    look_next(std::min(next_look_, Deadline::in(*order.options.deadline)));
  }
  return Ticket{*id, tasks_[*id].number};
}

bool Scheduler::is_settled(const Ticket& ticket) const noexcept {
  return ticket.task >= tasks_.size() || !tasks_[ticket.task].sink ||
         tasks_[ticket.task].number != ticket.number;
}

bool Scheduler::cancel(const Ticket& ticket) {
  if (!is_usable() || is_settled(ticket) || !transport_->withdraw(ticket.task)) return false;
  fail_rest(ticket.task, std::make_exception_ptr(Cancelled{}));
  return true;
}

// ---- What comes back

void Scheduler::on_value(TaskId id, View result) {
  const Task& task = tasks_[id];
  task.sink->on_value(task.first_item + task.settled, result);
  advance(id);
}

void Scheduler::on_exception(TaskId id, View exception) {
  settle_one(id, decode_exception(exception, exceptions_));
}

void Scheduler::settle_one(TaskId id, const std::exception_ptr& failure) {
  const Task& task = tasks_[id];
  task.sink->on_failure(task.first_item + task.settled, failure);
  advance(id);
}

void Scheduler::advance(TaskId id) {
  Task& task = tasks_[id];
  task.attempts = 0;
  if (++task.settled == task.items) finish(id);
}

void Scheduler::finish(TaskId id) {
  tasks_[id].sink.reset();
  --unsettled_;
  transport_->release(id);
}

void Scheduler::on_lost(TaskId id, const Loss& loss) {
  Task& task = tasks_[id];
  if (loss.overdue) {
    settle_one(id, std::make_exception_ptr(DeadlineExceeded{}));
  } else if (loss.in_hand &&
             (!task.options.idempotent || ++task.attempts >= TaskOptions::kMostAttempts)) {
    settle_one(id, std::make_exception_ptr(WorkerDied{loss.status, loss.last_line}));
  }
  if (task.sink) transport_->offer_again(id, task.settled);
}

void Scheduler::on_unavailable(const std::string& reason) {
  const auto failure = std::make_exception_ptr(PoolUnavailable{reason});
  for (TaskId id = 0; id < tasks_.size(); ++id) {
    if (tasks_[id].sink && transport_->withdraw(id)) fail_rest(id, failure);
  }
}

void Scheduler::fail_rest(TaskId id, const std::exception_ptr& reason) {
  Task& task = tasks_[id];
  for (; task.settled < task.items; ++task.settled) {
    task.sink->on_failure(task.first_item + task.settled, reason);
  }
  finish(id);
}

void Scheduler::end_overdue() {
  std::erase_if(timed_,
                [&](TaskId id) { return !tasks_[id].sink || !tasks_[id].options.deadline; });
  Deadline next = Deadline::never();
  for (const TaskId id : timed_) {
    next = std::min(next, transport_->end_overdue(id, *tasks_[id].options.deadline));
  }
  look_next(next);
}

void Scheduler::look_next(Deadline when) {
  next_look_ = when;
  transport_->wake_at(when);
}

// ---- Driving

void Scheduler::tend() {
  transport_->tend(*this);
  if (next_look_.expired()) end_overdue();
}

void Scheduler::step() {
  if (!is_usable()) throw Error{"step", "pool", "it was made before fork"};
  transport_->disarm();
  do {
    while (transport_->receive(*this)) {
    }
    tend();
    call_what_is_due();
    transport_->arm();
  } while (transport_->receive(*this) || !soon_.empty());
}

void Scheduler::call_what_is_due() {
  while (!soon_.empty()) {
    const auto function = std::move(soon_.front());
    soon_.pop_front();
    function();
  }
}

bool Scheduler::drive_until(const std::function<bool()>& condition, Deadline deadline) {
  if (!is_usable()) throw Error{"wait", "pool", "it was made before fork"};
  transport_->disarm();
  Deadline sleep_at = Deadline::in(kAwake);
  bool any_lately = false;
  for (int turn = 1;; ++turn) {
    const bool any = transport_->receive(*this);
    if (!soon_.empty()) call_what_is_due();
    if (condition()) return true;
    any_lately |= any;
    if (!any) spin_pause();
    if (turn % kTurnsBetween != 0) continue;
    if (deadline.expired()) return false;
    if (std::exchange(any_lately, false)) {
      sleep_at = Deadline::in(kAwake);
      tend();
    } else if (sleep_at.expired()) {
      tend();
      if (!soon_.empty()) call_what_is_due();
      if (condition()) return true;
      sleep(deadline);
      sleep_at = Deadline::in(kAwake);
    }
  }
}

// What rings from arm() on is not taken by tend() before it was slept for. What a stopped worker
// was woken for, another one takes after kLongestSleep.
void Scheduler::sleep(Deadline deadline) {
  transport_->arm();
  if (!transport_->receive(*this)) {
    wait_ready(transport_->fd(), POLLIN, std::min(deadline, Deadline::in(kLongestSleep)));
  }
  transport_->disarm();
  tend();
}

int Scheduler::fd() const {
  return transport_->fd();
}

void Scheduler::terminate() {
  is_open_ = false;
  transport_->kill();
  const auto reason = std::make_exception_ptr(Cancelled{});
  for (TaskId id = 0; id < tasks_.size(); ++id) {
    if (tasks_[id].sink) fail_rest(id, reason);
  }
  call_what_is_due();
}

}  // namespace procpool::proc::detail
