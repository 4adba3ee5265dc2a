#include "servers/net/detail/bound_name.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "ipc/base/error.hpp"
#include "ipc/base/unique_fd.hpp"

namespace procpool::net::detail {
namespace {

constexpr pid_t kNobody = 0;

// Only an answer from the kernel that nobody listens makes a name stale, and only a socket's (a
// file refuses connections too); any doubt leaves it alone.
bool is_stale(const Address& address, int type) {
  struct stat facts{};
  if (::lstat(address.path().c_str(), &facts) < 0 || !S_ISSOCK(facts.st_mode)) return false;
  const UniqueFd probe{::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!probe.valid()) throw_errno("socket", address.text());
  return ::connect(probe.fd(), address.data(), address.size()) < 0 && errno == ECONNREFUSED;
}

}  // namespace

void bind_socket(int socket, const Address& address, int type, std::string_view operation) {
  if (::bind(socket, address.data(), address.size()) == 0) return;
  const int error = errno;
  if (error == EADDRINUSE && address.is_unix() && is_stale(address, type)) {
    ::unlink(address.path().c_str());
    if (::bind(socket, address.data(), address.size()) == 0) return;
  }
  throw_errno(operation, address.text(), error);
}

BoundName::BoundName(const Address& address, Owner owner)
    : owner_{owner == Owner::this_process ? ::getpid() : kNobody} {
  struct stat name{};
  if (address.is_unix() && ::lstat(address.path().c_str(), &name) == 0) {
    device_ = name.st_dev;
    inode_ = name.st_ino;
  }
}

void BoundName::own() noexcept {
  owner_ = ::getpid();
}

void BoundName::disown() noexcept {
  owner_ = kNobody;
}

bool BoundName::is_there(const Address& address) const noexcept {
  if (!address.is_unix()) return true;
  struct stat name{};
  return ::lstat(address.path().c_str(), &name) == 0 && name.st_dev == device_ &&
         name.st_ino == inode_;
}

void BoundName::remove(const Address& address) const noexcept {
  if (address.is_unix() && owner_ == ::getpid() && is_there(address)) {
    ::unlink(address.path().c_str());
  }
}

}  // namespace procpool::net::detail
