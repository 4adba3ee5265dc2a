#include "servers/models/log_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"

namespace procpool::models {
namespace {

constexpr mode_t kMode = 0640;

UniqueFd open_for_appending(const std::string& path, int more_flags = 0) {
  const int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | more_flags;
  return UniqueFd{retry_eintr([&] { return ::open(path.c_str(), flags, kMode); })};
}

}  // namespace

UniqueFd open_log_file(const std::string& path) {
  UniqueFd file = open_for_appending(path);
  if (!file.valid()) throw_errno("open", path);
  return file;
}

void make_log_file(const std::string& path, const std::optional<proc::Credentials>& owner) {
  const UniqueFd file = open_for_appending(path, owner ? O_NOFOLLOW : 0);
  if (!file.valid()) {
    if (errno == ELOOP && owner) return;
    throw_errno("open", path);
  }
  struct stat facts{};
  if (!owner || ::fstat(file.fd(), &facts) < 0 || !S_ISREG(facts.st_mode) || facts.st_nlink != 1)
    return;
  if (::fchown(file.fd(), owner->uid, owner->gid) < 0) throw_errno("chown", path);
}

}  // namespace procpool::models
