// How much memory is resident in a process.
//
//   const UniqueFd statm = open_statm(pid);
//   if (resident_bytes(statm.fd()) > limit) ...
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "ipc/base/unique_fd.hpp"

namespace procpool::models::detail {

// /proc/PID/statm. Not valid: there is no such process.
UniqueFd open_statm(pid_t pid);

// The second number in it, proc(5). 0: it cannot be read.
std::uint64_t resident_bytes(int statm) noexcept;

}  // namespace procpool::models::detail
