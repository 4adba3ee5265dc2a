// What other processes have open, from /proc.
//
//   EXPECT_TRUE(eventually([&] { return has_open(session, log); }));
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <system_error>

namespace procpool::test {

// By the path that the kernel tells: that of now, if it was renamed. False for a process that has
// ended.
inline bool has_open(pid_t pid, const std::filesystem::path& file) {
  std::error_code gone;
  std::filesystem::directory_iterator fd{"/proc/" + std::to_string(pid) + "/fd", gone};
  for (const std::filesystem::directory_iterator end; !gone && fd != end; fd.increment(gone)) {
    std::error_code closed;
    if (std::filesystem::read_symlink(fd->path(), closed) == file) return true;
  }
  return false;
}

}  // namespace procpool::test
