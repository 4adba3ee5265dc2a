// Threads that come and go.
//
//   Crew crew;
//   Loop::Watch bell{loop, crew.bell(), Interest::read, [&](auto&) { crew.join_ended(); }};
//   crew.start([connection = std::move(socket)]() mutable { serve(std::move(connection)); });
#pragma once

#include <sys/eventfd.h>

#include <cstddef>
#include <list>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "ipc/base/error.hpp"
#include "ipc/base/unique_fd.hpp"

namespace procpool::models::detail {

// Of the thread that makes it. Destroyed, it waits for all of them.
class Crew {
 public:
  Crew() : bell_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
    if (!bell_.valid()) throw_errno("eventfd");
  }
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;
  ~Crew() = default;

  int bell() const noexcept { return bell_.fd(); }  // readable: some have ended
  std::size_t size() const noexcept { return threads_.size(); }

  // The work must not throw. Throws std::system_error: there is no thread for it.
  template <typename Work>
  void start(Work work) {
    const auto self = threads_.emplace(threads_.end());
    try {
      *self = std::jthread{[this, self, work = std::move(work)]() mutable {
        work();
        end(self);
      }};
    } catch (...) {
      threads_.erase(self);
      throw;
    }
  }

  void join_ended() {
    eventfd_t rings = 0;
    ::eventfd_read(bell_.fd(), &rings);
    std::vector<Thread> ended;
    {
      const std::lock_guard lock{mutex_};
      ended.swap(ended_);
    }
    for (const Thread& thread : ended) threads_.erase(thread);
  }

 private:
  using Thread = std::list<std::jthread>::iterator;

  void end(Thread self) {
    const std::lock_guard lock{mutex_};
    ended_.push_back(self);
    ::eventfd_write(bell_.fd(), 1);
  }

  UniqueFd bell_;
  std::mutex mutex_;
  std::vector<Thread> ended_;
  std::list<std::jthread> threads_;  // last: joined before the rest goes
};

}  // namespace procpool::models::detail
