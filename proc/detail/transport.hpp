// What carries a pool's tasks to those who do them, and brings back what came of them: the seam
// between a pool's books and its workers. Crew is the one in shared memory, with processes of this
// machine; another could hand tasks to a broker.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "ipc/base/deadline.hpp"
#include "proc/detail/image_offset.hpp"
#include "proc/detail/thunk.hpp"
#include "proc/detail/wire.hpp"
#include "proc/exit_status.hpp"

namespace procpool::proc::detail {

using TaskId = std::uint32_t;  // below Transport::capacity(); used again once it is released

// Why a task came back undone.
struct Loss {
  bool in_hand = false;  // the first item that has no result had begun
  bool overdue = false;  // and was ended for that
  std::optional<ExitStatus> status{};
  std::string last_line{};
};

// For one thread. What comes in is told to the Receiver, from within receive() and tend() only.
class Transport {
 public:
  class Receiver {
   public:
    virtual ~Receiver() = default;
    virtual void on_value(TaskId task, View result) = 0;  // of the next item
    virtual void on_exception(TaskId task, View exception) = 0;
    // It is nobody's now: offer_again() or release() it.
    virtual void on_lost(TaskId task, const Loss& loss) = 0;
    // There is nobody to do anything, for this reason; it will be tried to change that.
    virtual void on_unavailable(const std::string& reason) = 0;
  };

  virtual ~Transport() = default;

  virtual std::uint32_t capacity() const noexcept = 0;  // tasks at a time

  struct Task {
    Thunk thunk;
    const Pieces& payload;
    std::uint32_t items;
    bool is_timed;
  };
  virtual std::optional<TaskId> offer(const Task& task) = 0;  // nullopt: no room at present
  virtual void offer_again(TaskId task, std::uint32_t first_item) = 0;
  virtual bool withdraw(TaskId task) = 0;  // true: nobody has begun it, and nobody will
  virtual void release(TaskId task) = 0;   // it has all its results, or was withdrawn or lost

  // Ends the item in hand, with its worker, if it runs as long already: it comes back as lost.
  // Returns when to ask again.
  virtual Deadline end_overdue(TaskId task, Deadline::Clock::duration limit) = 0;

  virtual bool receive(Receiver& receiver) = 0;  // results that are there; false: none
  virtual void tend(Receiver& receiver) = 0;     // whatever else has happened. Does not block
  virtual std::optional<std::string> unavailable() const = 0;  // the reason; nullopt: it is not

  // Readable when one of the two above should be called, if arm() was called since they were.
  virtual int fd() const noexcept = 0;
  virtual void arm() noexcept = 0;
  virtual void disarm() noexcept = 0;  // it is not waited for: nobody need ring
  virtual void wake_at(Deadline deadline) = 0;

  virtual void close() = 0;                       // whoever has nothing more to do ends
  virtual void kill() = 0;                        // everybody ends
  virtual bool is_deserted() const noexcept = 0;  // and all have
};

}  // namespace procpool::proc::detail
