#include "ipc/base/unique_fd.hpp"

#include <cerrno>

namespace procpool {

void UniqueFd::reset(int fd) noexcept {
  if (fd == fd_) return;
  const int previous = std::exchange(fd_, fd);
  if (previous < 0) return;
  const int saved = errno;
  ::close(previous);
  errno = saved;
}

}  // namespace procpool
