#include "servers/http/beneath.hpp"

#include <cerrno>
#include <cstdint>

#include "ipc/base/open_resolved.hpp"

namespace procpool::http {

UniqueFd open_beneath(int root, const std::string& name, LookUp how) {
  std::uint64_t resolve = RESOLVE_BENEATH;
  if (!how.symlinks) resolve |= RESOLVE_NO_SYMLINKS;
  if (!how.mounts) resolve |= RESOLVE_NO_XDEV;
  return open_resolved(root, name, how.flags, 0, resolve);
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
