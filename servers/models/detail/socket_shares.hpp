// Who of the workers has which of the sockets of an address.
//
//   share_of({.number = 1, .of = 2}, 5);      // the second of two workers: {1, 3}
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace procpool::models::detail {

// A worker among those that take connections: number < of. {0, 0}: it is not one of them.
struct Share {
  std::uint32_t number = 0;
  std::uint32_t of = 0;
  friend bool operator==(const Share&, const Share&) = default;
};

// The sockets of this worker, counted from 0. Each socket has a worker, and each worker a socket,
// if there are any: of more workers than sockets some have the same one.
std::vector<std::size_t> share_of(Share share, std::size_t sockets);

}  // namespace procpool::models::detail
