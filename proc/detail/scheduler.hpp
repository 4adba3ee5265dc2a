// A pool's books: which tasks there are, and whom each result goes to, once.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ipc/base/deadline.hpp"
#include "proc/detail/transport.hpp"
#include "proc/exception_type.hpp"
#include "proc/task_options.hpp"

namespace procpool::proc::detail {

// Who is told how the items of a task ended: of each item once.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void on_value(std::size_t item, View result) = 0;
  virtual void on_failure(std::size_t item, std::exception_ptr reason) = 0;
};

// For one thread, of the process that made it. All work is done in the calls of that thread: there
// is no other one.
class Scheduler : private Transport::Receiver {
 public:
  Scheduler(std::unique_ptr<Transport> transport, std::vector<ExceptionType> exceptions);
  ~Scheduler() override;

  struct Ticket {
    TaskId task = 0;
    std::uint64_t number = 0;  // tells it from a later task of the same id
  };
  struct Order {
    Thunk thunk;
    const Pieces& payload;
    std::uint32_t items = 1;
    std::size_t first_item = 0;  // as the sink counts
    TaskOptions options{};
  };
  // Nullopt: there is no room until `deadline`. Throws Error: closed, or too large.
  std::optional<Ticket> submit(const Order& order, const std::shared_ptr<Sink>& sink,
                               Deadline deadline = Deadline::never());

  bool is_settled(const Ticket& ticket) const noexcept;

  // True: nobody had it in hand; what is left of it failed with Cancelled.
  bool cancel(const Ticket& ticket);

  // Does what can be done now.
  void step();

  // Until the condition holds. False: it did not at the deadline. Also what then() has added is
  // called here, by which the condition may change.
  bool drive_until(const std::function<bool()>& condition, Deadline deadline);

  // Readable when there is something to do, from the end of step() on.
  int fd() const;

  // To be called in this thread outside of all that may be under way.
  void call_soon(std::function<void()> function) { soon_.push_back(std::move(function)); }

  void close() noexcept { is_open_ = false; }  // submit() throws
  bool is_open() const noexcept { return is_open_; }
  void terminate();  // everything fails with Cancelled; all workers end
  std::size_t unsettled() const noexcept { return unsettled_; }
  Transport& transport() noexcept { return *transport_; }
  bool is_usable() const noexcept;  // not a copy in a child of fork

 private:
  struct Task {
    std::shared_ptr<Sink> sink;  // null: there is none
    std::uint64_t number = 0;
    std::size_t first_item = 0;
    std::uint32_t items = 0;
    std::uint32_t settled = 0;
    int attempts = 0;  // of the item in hand
    TaskOptions options;
  };

  void on_value(TaskId task, View result) override;
  void on_exception(TaskId task, View exception) override;
  void on_lost(TaskId task, const Loss& loss) override;
  void on_unavailable(const std::string& reason) override;

  void settle_one(TaskId id, const std::exception_ptr& failure);
  void advance(TaskId id);
  void fail_rest(TaskId id, const std::exception_ptr& reason);
  void finish(TaskId id);
  void end_overdue();
  void look_next(Deadline when);
  void tend();
  void call_what_is_due();
  void sleep(Deadline deadline);

  std::unique_ptr<Transport> transport_;
  std::vector<ExceptionType> exceptions_;
  std::vector<Task> tasks_;  // by TaskId
  std::vector<TaskId> timed_;
  Deadline next_look_ = Deadline::never();  // at them
  std::deque<std::function<void()>> soon_;
  std::uint64_t next_number_ = 1;
  std::size_t unsettled_ = 0;
  pid_t owner_;
  bool is_open_ = true;
};

}  // namespace procpool::proc::detail
