// A small process that starts workers for Pools, made before there are threads.
//
//   int main() {
//     Nursery nursery;                               // the first thing
//     std::thread other{...};
//     Pool pool{{.workers = 4}, nursery};            // now, or in any thread
//   }
#pragma once

#include <mutex>
#include <optional>
#include <vector>

#include "ipc/base/unique_fd.hpp"
#include "ipc/channel.hpp"
#include "proc/process.hpp"

namespace procpool::proc {

// fork(2) copies one thread only, and leaves locked what the others had locked. So workers are
// forked by a process without other threads: this one. They are copies of the program as it was
// when the nursery was made, however late they are started, with the descriptors it had then, or
// with those of them that were to be kept.
//
// Must outlive its pools. connect() is for all threads. The process takes no SIGINT, SIGTERM,
// SIGHUP and SIGQUIT, is in a process group of its own with no terminal's signals, and ends when
// this object is destroyed, or when the process that made it ends, however it does, and the workers
// with it. Processes that a task has left behind are killed when any worker ends. If it is killed
// itself, its workers die, and the next one that is needed makes a new one, unless there are
// threads by then. A Nursery in a child of fork owns nothing: its use throws Error.
class Nursery {
 public:
  // Throws Error: other threads run already; EAGAIN, ENOMEM. `keep_only` is as
  // ChildOptions::keep_only: for who has sockets that must be closed when he closes them.
  explicit Nursery(std::optional<std::vector<int>> keep_only = {});
  Nursery(const Nursery&) = delete;
  Nursery& operator=(const Nursery&) = delete;
  ~Nursery();

  pid_t pid() const;  // for messages

  // For Pool: a way to ask for workers, and the process that will answer.
  struct Connection {
    ipc::Channel channel;
    UniqueFd pidfd;
  };
  Connection connect();  // throws Error: the process is gone and cannot be made anew

 private:
  void start();

  pid_t owner_;
  std::optional<std::vector<int>> keep_only_;
  mutable std::mutex mutex_;
  std::optional<Process> process_;
  std::optional<ipc::Channel> root_;
};

}  // namespace procpool::proc
