// A folder for one test.
//
//   TempDir dir;
//   std::ofstream{dir.path() / "index.html"} << "hello";
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "ipc/base/error.hpp"

namespace procpool::test {

// A new folder, mode 0700, beneath TMPDIR. Removed with all it holds by the process that made it.
class TempDir {
 public:
  TempDir() {
    std::string name = std::filesystem::temp_directory_path() / "procpool-test-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw_errno("mkdtemp", name);
    path_ = name;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    if (::getpid() == maker_) std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  pid_t maker_ = ::getpid();
  std::filesystem::path path_;
};

}  // namespace procpool::test
