#include "servers/http/beneath.hpp"

#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace procpool::http {
namespace {

// EAGAIN: a rename somewhere in the tree raced with the look-up, openat2(2).
constexpr int kMostRaces = 128;

}  // namespace

UniqueFd open_beneath(int root, const std::string& name, LookUp how) {
  open_how kernel{};
  kernel.flags = static_cast<unsigned>(how.flags | O_CLOEXEC);
  if ((how.flags & O_PATH) == 0) kernel.flags |= O_NOCTTY;  // O_PATH takes no other flag
  kernel.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  if (!how.symlinks) kernel.resolve |= RESOLVE_NO_SYMLINKS;
  if (!how.mounts) kernel.resolve |= RESOLVE_NO_XDEV;
  long fd = -1;
  for (int tries = 0; tries < kMostRaces; ++tries) {
    fd = ::syscall(SYS_openat2, root, name.c_str(), &kernel, sizeof kernel);
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) break;
  }
  return UniqueFd{static_cast<int>(fd)};
}

Status status_of_errno(int error) noexcept {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
      return Status::not_found;
    case EACCES:
    case EPERM:
    case EROFS:
    case EXDEV:  // it leads out of the root
    case ELOOP:
    case ENXIO:  // a socket
    case ENODEV:
      return Status::forbidden;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
      return Status::service_unavailable;
    case ENOSPC:
    case EDQUOT:
      return Status::insufficient_storage;
    default:
      return Status::internal_server_error;
  }
}

}  // namespace procpool::http
