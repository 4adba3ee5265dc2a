// AcceptStrategy::lock: the worker that has the turn waits for connections, takes some, and gives
// the turn away before it serves them. The turn is an ipc::Mutex, so that a dead worker's is free;
// a bell wakes one of those that wait for it. After a death the master tells all to look again:
// the bell may have woken the dead one.
#include <sys/eventfd.h>

#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/mutex.hpp"
#include "ipc/shared.hpp"
#include "servers/models/detail/distributor.hpp"
#include "servers/models/detail/listener_acceptor.hpp"

namespace procpool::models::detail {
namespace {

class LockAcceptor final : public Acceptor {
 public:
  LockAcceptor(Doors doors, ipc::Mutex& turn, int bell, Loop& loop, Intake& intake)
      : doors_{std::move(doors)}, turn_{turn}, bell_{bell}, loop_{loop}, intake_{intake} {}

  void open() override {
    if (!turn_.is_mine() && !turn_.try_lock()) return await_turn();
    watches_.clear();
    for (const auto& door : doors_) {
      for (const net::Listener* listener : listening(door)) {
        watch(listener->fd(), [this, listener] { take_from(*listener); });
      }
    }
  }

  void close() override {
    watches_.clear();
    if (!turn_.is_mine()) return;
    turn_.unlock();
    ::eventfd_write(bell_, 1);
  }

 private:
  void await_turn() {
    watches_.clear();
    watch(bell_, [this] {
      eventfd_t rings = 0;
      ::eventfd_read(bell_, &rings);
      open();
    });
  }

  template <typename Function>
  void watch(int fd, Function on_ready) {
    watches_.push_back(std::make_unique<Loop::Watch>(loop_, fd, Interest::read_exclusive,
                                                     [on_ready](const Readiness&) { on_ready(); }));
  }

  void take_from(const net::Listener& listener) {
    std::vector<UniqueFd> sockets;
    for (auto left = intake_.at_once(); left > 0; --left) {
      auto socket = intake_.accept(listener);
      if (!socket) break;
      sockets.push_back(std::move(*socket));
    }
    if (sockets.empty()) return;  // it has left, or it came when descriptors were short
    const bool paused = watches_.empty();
    close();
    if (!paused) await_turn();  // it is the turn of whoever hears the bell first
    for (UniqueFd& socket : sockets) intake_.begin(std::move(socket));
  }

  Doors doors_;
  ipc::Mutex& turn_;
  int bell_;
  Loop& loop_;
  Intake& intake_;
  std::vector<std::unique_ptr<Loop::Watch>> watches_;
};

class LockDistributor final : public Distributor {
 public:
  LockDistributor() : bell_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
    if (!bell_.valid()) throw_errno("eventfd");
  }

  std::vector<int> equip(int) override { return {bell_.fd()}; }

  std::unique_ptr<Acceptor> make_acceptor(int, const Doors& doors, Loop& loop,
                                          Intake& intake) override {
    return std::make_unique<LockAcceptor>(doors, *turn_, bell_.fd(), loop, intake);
  }

 private:
  ipc::Shared<ipc::Mutex> turn_;
  UniqueFd bell_;
};

}  // namespace

std::unique_ptr<Distributor> make_lock_distributor() {
  return std::make_unique<LockDistributor>();
}

}  // namespace procpool::models::detail
