// A gate between processes: closed until somebody opens it, and open from then on.
//
//   Gate locked;
//   Forked holder{[&] { mutex.lock(); locked.open(); pause(); }};
//   locked.wait();
#pragma once

#include <poll.h>
#include <sys/eventfd.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/unique_fd.hpp"

namespace procpool::test {

// Shared with every process forked after it was made. Any of them may open it, any number may wait.
class Gate {
 public:
  Gate() : event_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
    if (!event_.valid()) throw_errno("eventfd");
  }

  void open() {
    if (::eventfd_write(event_.fd(), 1) < 0) throw_errno("write", "gate");
  }

  bool wait(Deadline deadline = Deadline::never()) const {  // false: the deadline came first
    return wait_ready(event_.fd(), POLLIN, deadline) != 0;
  }

  bool is_open() const { return wait(Deadline::now()); }

  int fd() const noexcept { return event_.fd(); }  // readable: it is open

 private:
  UniqueFd event_;
};

}  // namespace procpool::test
