#include "proc/detail/move_above.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/pipe.hpp"

namespace procpool::proc::detail {

UniqueFd move_above(UniqueFd fd, int floor) {
  if (fd.fd() >= floor) return fd;
  UniqueFd moved{::fcntl(fd.fd(), F_DUPFD_CLOEXEC, floor)};
  if (!moved.valid()) throw_errno("fcntl(F_DUPFD_CLOEXEC)", std::to_string(fd.fd()));
  return moved;
}

PipeEnds make_pipe_above(int floor) {
  auto [reader, writer] = ipc::make_pipe();
  return {move_above(reader.release(), floor), move_above(writer.release(), floor)};
}

int first_free_of(std::span<const Redirection> redirections) noexcept {
  int highest = STDERR_FILENO;
  for (const Redirection& redirection : redirections) {
    highest = std::max(highest, redirection.target);
  }
  return highest + 1;
}

}  // namespace procpool::proc::detail
