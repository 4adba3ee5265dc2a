// How the workers of a pre-forked server come by their connections.
//
//   Service service{.workers = 4, .accept = AcceptStrategy::reuseport};
#pragma once

#include <array>
#include <string_view>

namespace procpool::models {

// With each of them a connection is lost only with the worker that has accepted it, and served by
// another one when that worker dies before; workers drain, come and go without a loss.
enum class AcceptStrategy {
  // All wait for the same socket, and the kernel wakes one of them (EPOLLEXCLUSIVE, epoll_ctl(2)).
  shared,

  // Each has a socket of its own, between which the kernel distributes (SO_REUSEPORT, socket(7)).
  // The master owns them: the socket of a worker that leaves goes to others, with what waits there.
  // A Unix socket's address cannot be had twice: all wait for that one, as `shared`.
  reuseport,

  // One at a time waits, in turns: who has the turn holds an ipc::Mutex.
  lock,

  // The same with an ipc::FileLock: the kernel keeps it, for the price of a system call each time.
  file_lock,

  // The master accepts, and passes each connection to the worker that has the fewest. It keeps its
  // copy until the worker says that it has it.
  pass,
};

inline constexpr std::array kAcceptStrategies{AcceptStrategy::shared, AcceptStrategy::reuseport,
                                              AcceptStrategy::lock, AcceptStrategy::file_lock,
                                              AcceptStrategy::pass};

constexpr std::string_view name_of(AcceptStrategy strategy) noexcept {
  constexpr std::array<std::string_view, kAcceptStrategies.size()> kNames{
      "shared", "reuseport", "lock", "file-lock", "pass"};
  return kNames[static_cast<std::size_t>(strategy)];
}

}  // namespace procpool::models
