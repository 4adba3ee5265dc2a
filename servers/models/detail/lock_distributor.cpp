// AcceptStrategy::lock and file_lock: the worker that has the turn waits for connections, takes
// some, and gives the turn away before it serves them. The turn is an ipc::Mutex or an
// ipc::FileLock, so that a dead worker's is free; a bell wakes one of those that wait for it. After
// a death the master tells all to look again: the bell may have woken the dead one.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include <string>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/owner.hpp"
#include "ipc/file_lock.hpp"
#include "ipc/mutex.hpp"
#include "ipc/shared.hpp"
#include "servers/models/detail/distributor.hpp"
#include "servers/models/detail/listener_acceptor.hpp"

namespace procpool::models::detail {
namespace {

// Of one worker.
class Turn {
 public:
  virtual ~Turn() = default;
  virtual bool take() = 0;  // false: another one has it
  virtual bool give() = 0;  // false: it was not this one's
};

class MutexTurn final : public Turn {
 public:
  explicit MutexTurn(ipc::Mutex& mutex) noexcept : mutex_{mutex} {}

  bool take() override { return knows_itself() && (mutex_.is_mine() || mutex_.try_lock()); }
  bool give() override {
    if (!knows_itself() || !mutex_.is_mine()) return false;
    mutex_.unlock();
    return true;
  }

 private:
  // A thread that begins when others have used up all descriptors finds out later who it is: it has
  // no turn until then.
  static bool knows_itself() noexcept {
    try {
      Owner::this_thread();
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  ipc::Mutex& mutex_;
};

class FileTurn final : public Turn {
 public:
  explicit FileTurn(UniqueFd file) : lock_{std::move(file)} {}

  bool take() override { return mine_ = mine_ || lock_.try_lock(); }
  bool give() override {
    if (!mine_) return false;
    lock_.unlock();
    mine_ = false;
    return true;
  }

 private:
  ipc::FileLock lock_;
  bool mine_ = false;
};

class LockAcceptor final : public Acceptor {
 public:
  LockAcceptor(Doors doors, std::unique_ptr<Turn> turn, int bell, Loop& loop, Intake& intake)
      : doors_{std::move(doors)},
        turn_{std::move(turn)},
        bell_{bell},
        loop_{loop},
        intake_{intake} {}

  void open() override {
    if (!turn_->take()) return await_turn();
    watches_.clear();
    for (const auto& door : doors_) {
      for (const net::Listener* listener : listening(door)) {
        watch(listener->fd(), [this, listener] { take_from(*listener); });
      }
    }
  }

  void close() override {
    watches_.clear();
    if (turn_->give()) ::eventfd_write(bell_, 1);
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
  std::unique_ptr<Turn> turn_;
  int bell_;
  Loop& loop_;
  Intake& intake_;
  std::vector<std::unique_ptr<Loop::Watch>> watches_;
};

class LockDistributor : public Distributor {
 public:
  LockDistributor() : bell_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
    if (!bell_.valid()) throw_errno("eventfd");
  }

  std::vector<int> equip(int) override { return {bell_.fd()}; }

  std::unique_ptr<Acceptor> make_acceptor(int, const Doors& doors, Loop& loop,
                                          Intake& intake) override {
    return std::make_unique<LockAcceptor>(doors, make_turn(), bell_.fd(), loop, intake);
  }

 private:
  virtual std::unique_ptr<Turn> make_turn() = 0;
  UniqueFd bell_;
};

class MutexDistributor final : public LockDistributor {
 private:
  std::unique_ptr<Turn> make_turn() override { return std::make_unique<MutexTurn>(*mutex_); }
  ipc::Shared<ipc::Mutex> mutex_;
};

// The lock of a file belongs to who has opened it, fcntl(2): each worker does so itself. The file
// has no name that could be left.
class FileLockDistributor final : public LockDistributor {
 public:
  FileLockDistributor() : file_{::memfd_create("procpool-turn", MFD_CLOEXEC)} {
    if (!file_.valid()) throw_errno("memfd_create");
  }

  std::vector<int> equip(int slot) override {
    std::vector<int> kept = LockDistributor::equip(slot);
    kept.push_back(file_.fd());
    return kept;
  }

 private:
  std::unique_ptr<Turn> make_turn() override {
    const std::string path = "/proc/self/fd/" + std::to_string(file_.fd());
    UniqueFd file{::open(path.c_str(), O_RDWR | O_CLOEXEC)};
    if (!file.valid()) throw_errno("open", path);
    return std::make_unique<FileTurn>(std::move(file));
  }
  UniqueFd file_;
};

}  // namespace

std::unique_ptr<Distributor> make_mutex_distributor() {
  return std::make_unique<MutexDistributor>();
}

std::unique_ptr<Distributor> make_file_lock_distributor() {
  return std::make_unique<FileLockDistributor>();
}

}  // namespace procpool::models::detail
