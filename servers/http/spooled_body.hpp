// The body of a request, gathered: a small one in memory, a large one in a file without a name.
//
//   SpooledBody body;
//   body.write(bytes);                               // any number of times
//   use(body.text());  or  UniqueFd input = std::move(body).file();
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ipc/base/unique_fd.hpp"

namespace procpool::http {

// Move only, of one thread. The file lies where std::filesystem::temp_directory_path() says
// (TMPDIR, /tmp), or in anonymous memory if no file without a name can be made there; nothing is
// left of it whoever dies.
class SpooledBody {
 public:
  static constexpr std::size_t kMostInMemory = std::size_t{64} << 10;

  void write(std::string_view bytes);  // throws Error: the disk is full
  std::uint64_t size() const noexcept { return size_; }

  std::string text() const;  // all of it, read back if it is in a file; throws Error
  UniqueFd file() &&;        // the same, to be read from its begin; throws Error

 private:
  std::uint64_t size_ = 0;
  std::string memory_;
  UniqueFd file_;  // then the memory is empty
};

}  // namespace procpool::http
