#include "servers/models/detail/distributor.hpp"

namespace procpool::models::detail {

std::unique_ptr<Distributor> make_distributor(AcceptStrategy strategy, DistributorParts parts) {
  switch (strategy) {
    case AcceptStrategy::shared:
      return make_shared_distributor();
    case AcceptStrategy::reuseport:
      return make_reuseport_distributor();
    case AcceptStrategy::lock:
      return make_mutex_distributor();
    case AcceptStrategy::file_lock:
      return make_file_lock_distributor();
    case AcceptStrategy::pass:
      return make_pass_distributor(parts);
  }
  return nullptr;
}

}  // namespace procpool::models::detail
