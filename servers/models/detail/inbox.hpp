// AcceptStrategy::pass between threads: one accepts, and puts each connection into the inbox of
// another.
//
//   Inbox inbox;                                              // of a thread
//   inbox.put(std::move(socket));                             // by another one
//   InboxAcceptor acceptor{inbox, loop, intake};              // in its loop
#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include "ipc/base/loop.hpp"
#include "ipc/base/unique_fd.hpp"
#include "servers/models/detail/acceptor.hpp"
#include "servers/models/detail/intake.hpp"

namespace procpool::models::detail {

// For all threads.
class Inbox {
 public:
  Inbox();  // throws Error

  void put(UniqueFd socket);
  std::optional<UniqueFd> take();                 // nothing: it is empty
  int fd() const noexcept { return bell_.fd(); }  // readable: it is not

  // How many its thread serves, beside those that wait here.
  // Returns how many it was before.
  std::size_t set_served(std::size_t number) noexcept { return served_.exchange(number); }
  std::size_t load() const;

 private:
  UniqueFd bell_;
  mutable std::mutex mutex_;
  std::deque<UniqueFd> sockets_;
  std::atomic<std::size_t> served_{0};
};

class InboxAcceptor final : public Acceptor {
 public:
  InboxAcceptor(Inbox& inbox, Loop& loop, Intake& intake)
      : inbox_{inbox}, loop_{loop}, intake_{intake} {}

  void open() override;
  void close() override { watch_.reset(); }
  void drain() override;

 private:
  Inbox& inbox_;
  Loop& loop_;
  Intake& intake_;
  std::unique_ptr<Loop::Watch> watch_;
};

}  // namespace procpool::models::detail
