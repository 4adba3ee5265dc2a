// AcceptStrategy::shared: all workers wait for all sockets, and the kernel wakes one. If that one
// dies before it accepts, nobody else is woken: the master tells the others to look again after
// each death.
#include <numeric>

#include "servers/models/detail/distributor.hpp"
#include "servers/models/detail/listener_acceptor.hpp"

namespace procpool::models::detail {
namespace {

std::vector<std::size_t> all_of(std::size_t sockets) {
  std::vector<std::size_t> numbers(sockets);
  std::iota(numbers.begin(), numbers.end(), std::size_t{0});
  return numbers;
}

class SharedDistributor final : public Distributor {
 public:
  std::unique_ptr<Acceptor> make_acceptor(int, const Doors& doors, Loop& loop,
                                          Intake& intake) override {
    return std::make_unique<ListenerAcceptor>(doors, loop, intake, all_of);
  }
};

}  // namespace

std::unique_ptr<Distributor> make_shared_distributor() {
  return std::make_unique<SharedDistributor>();
}

}  // namespace procpool::models::detail
