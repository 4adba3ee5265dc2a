// AcceptStrategy::reuseport: each worker waits for sockets of its own. The master holds all of them
// and says, whenever workers come or go, whose they are: none is without a worker, and none is
// closed with connections in its queue.
#include <array>
#include <atomic>

#include "ipc/shared.hpp"
#include "servers/models/detail/distributor.hpp"
#include "servers/models/detail/listener_acceptor.hpp"
#include "servers/models/detail/socket_shares.hpp"

namespace procpool::models::detail {
namespace {

// By slot. The master writes, the workers read.
using Shares = std::array<std::atomic<Share>, proc::Scoreboard::kSlots>;
static_assert(std::atomic<Share>::is_always_lock_free);

class ReuseportDistributor final : public Distributor {
 public:
  std::size_t sockets_for(std::size_t workers) const override { return workers; }

  std::unique_ptr<Acceptor> make_acceptor(int slot, const Doors& doors, Loop& loop,
                                          Intake& intake) override {
    return std::make_unique<ListenerAcceptor>(
        doors, loop, intake,
        [this, slot](std::size_t sockets) { return share_of(share(slot), sockets); });
  }

  // Who has the slot next waits for a share of its own.
  void forget(int slot) override {
    if (std::erase(serving_, slot) != 0) share(slot) = Share{};
  }

  bool serve_with(const std::vector<int>& slots, const Doors&) override {
    if (slots == serving_) return false;
    for (const int slot : serving_) share(slot) = Share{};
    serving_ = slots;
    Share next{.number = 0, .of = static_cast<std::uint32_t>(slots.size())};
    for (const int slot : slots) {
      share(slot) = next;
      ++next.number;
    }
    return true;
  }

 private:
  std::atomic<Share>& share(int slot) const { return (*shares_)[static_cast<std::size_t>(slot)]; }

  ipc::Shared<Shares> shares_;
  std::vector<int> serving_;
};

}  // namespace

std::unique_ptr<Distributor> make_reuseport_distributor() {
  return std::make_unique<ReuseportDistributor>();
}

}  // namespace procpool::models::detail
