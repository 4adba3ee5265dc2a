#include "proc/execute.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "ipc/base/error.hpp"
#include "proc/detail/pointers.hpp"

namespace procpool::proc {
namespace {

void set_flags(std::span<const int> descriptors, int flags) noexcept {
  for (const int fd : descriptors) ::fcntl(fd, F_SETFD, flags);
}

}  // namespace

void execute(const std::vector<std::string>& argv, const std::vector<std::string>& environment,
             std::span<const int> keep, int program) {
  const std::vector<char*> words = detail::pointers_to(argv);
  const std::vector<char*> variables = detail::pointers_to(environment);
  set_flags(keep, 0);
  if (program >= 0) {
    ::execveat(program, "", words.data(), variables.data(), AT_EMPTY_PATH);
  } else {
    ::execvpe(words.front(), words.data(), variables.data());
  }
  const int error = errno;
  set_flags(keep, FD_CLOEXEC);
  throw_errno("exec", argv.front(), error);
}

}  // namespace procpool::proc
