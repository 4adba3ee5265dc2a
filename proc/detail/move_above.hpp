// Descriptors out of the way of those that a child is given.
//
//   UniqueFd pipe = move_above(std::move(reader), 3);      // 0, 1 and 2 may be redirected now
#pragma once

#include <span>

#include "ipc/base/unique_fd.hpp"
#include "proc/redirection.hpp"

namespace procpool::proc::detail {

// The descriptor itself if its number is `floor` or more, else a duplicate of it that is. Closes
// the one it was given. Throws Error (EMFILE).
UniqueFd move_above(UniqueFd fd, int floor);

struct PipeEnds {
  UniqueFd reader;
  UniqueFd writer;
};

// A pipe whose ends have numbers of `floor` or more. Throws Error (EMFILE).
PipeEnds make_pipe_above(int floor);

// The first number from which on no redirection has its target; 3 or more.
int first_free_of(std::span<const Redirection> redirections) noexcept;

}  // namespace procpool::proc::detail
