// How an operation on a connection ended.
#pragma once

#include <cerrno>
#include <cstddef>

namespace procpool::net {

// Peers that vanish are normal work, hence a value and no exception.
struct IoResult {
  std::size_t bytes =
      0;          // transferred, also when it failed half-way; 0 from a read without error: the end
  int error = 0;  // errno; ETIMEDOUT: the deadline came first; ECANCELED: interrupted

  bool failed() const noexcept { return error != 0; }
  bool timed_out() const noexcept { return error == ETIMEDOUT; }
  bool interrupted() const noexcept { return error == ECANCELED; }
};

}  // namespace procpool::net
