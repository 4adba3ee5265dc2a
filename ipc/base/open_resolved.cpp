#include "ipc/base/open_resolved.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace procpool {
namespace {

// EAGAIN: a rename somewhere in the tree raced with the look-up, openat2(2).
constexpr int kMostRaces = 128;

}  // namespace

UniqueFd open_resolved(int root, const std::string& path, int flags, mode_t mode,
                       std::uint64_t resolve) noexcept {
  open_how how{};
  how.flags = static_cast<unsigned>(flags | O_CLOEXEC);
  if ((flags & O_PATH) == 0) how.flags |= O_NOCTTY;  // O_PATH takes no other flag
  how.mode = mode;
  how.resolve = resolve | RESOLVE_NO_MAGICLINKS;
  long fd = -1;
  for (int tries = 0; tries < kMostRaces; ++tries) {
    fd = ::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how);
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) break;
  }
  return UniqueFd{static_cast<int>(fd)};
}

}  // namespace procpool
