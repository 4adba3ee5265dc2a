// Which of many descriptors are ready: select, poll and epoll behind one interface.
//
//   Poller poller{Poller::Backend::epoll_level};
//   poller.add(fd, Interest::read, /*token=*/7);
//   for (const Readiness& ready : poller.wait(Deadline::in(1s)))
//     if (ready.token == 7 && ready.readable) ...
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "ipc/base/deadline.hpp"

namespace procpool {

enum class Interest : std::uint8_t {
  none = 0,  // only errors and hang-ups are reported (and by select nothing)
  read = 1,
  write = 2,
  read_write = 3,
  // read, but of the pollers that wait for this descriptor only one is woken (EPOLLEXCLUSIVE, where
  // the back end has it). It cannot be modified later, only removed.
  read_exclusive = 5,
};

// What wait() found. An error or a hang-up makes a descriptor readable and writable in at least
// what it is interested in, so that the next call on it reports the reason; `hangup` says so too.
struct Readiness {
  std::uint64_t token = 0;
  bool readable = false;
  bool writable = false;
  bool hangup = false;  // EPOLLHUP or EPOLLERR
};

// A set of descriptors and the wait for any of them. It owns none of them: remove() before closing.
// For one thread. After fork the epoll back ends share their set with the parent (epoll(7)): a
// child makes a Poller of its own. With epoll_edge a descriptor is reported once per arrival of new
// data: read or write until EAGAIN before waiting again. The other back ends are level-triggered.
class Poller {
 public:
  enum class Backend { select, poll, epoll_level, epoll_edge };

  explicit Poller(Backend backend = Backend::epoll_level);  // throws Error
  Poller(Poller&&) noexcept;
  Poller& operator=(Poller&&) noexcept;
  ~Poller();

  // Throws Error: EEXIST when it is there already; EPERM for what cannot be waited for (a regular
  // file, with epoll); EINVAL from select for a descriptor >= FD_SETSIZE (1024).
  void add(int fd, Interest interest, std::uint64_t token);
  void modify(int fd, Interest interest, std::uint64_t token);  // throws Error: ENOENT
  void remove(int fd);                                          // throws Error: ENOENT

  // Blocks until something is ready or the deadline has passed (then empty; also empty after a
  // signal handler ran). At most kMostAtOnce at a time, the rest next time. Valid until the next
  // call.
  std::span<const Readiness> wait(Deadline deadline);

  // A descriptor that is readable while something is ready: for waiting in another poller. The
  // epoll back ends have one; -1 for the others.
  int fd() const noexcept;

  Backend backend() const noexcept;

  static constexpr std::size_t kMostAtOnce = 64;

 private:
  class Implementation;
  class Select;
  class Poll;
  class Epoll;
  std::unique_ptr<Implementation> implementation_;
};

std::string_view name_of(Poller::Backend backend) noexcept;  // "select", "epoll-level", ...

}  // namespace procpool
