#include "servers/models/detail/socket_shares.hpp"

namespace procpool::models::detail {

std::vector<std::size_t> share_of(Share share, std::size_t sockets) {
  if (share.of == 0 || sockets == 0) return {};
  if (share.number >= sockets) return {share.number % sockets};
  std::vector<std::size_t> numbers;
  for (std::size_t number = share.number; number < sockets; number += share.of)
    numbers.push_back(number);
  return numbers;
}

}  // namespace procpool::models::detail
