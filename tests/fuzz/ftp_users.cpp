// A file of users is read, or refused with the line that is wrong.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ipc/base/error.hpp"
#include "servers/ftp/users.hpp"
#include "tests/fuzz/check.hpp"

namespace procpool::ftp {

using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  try {
    for (const auto& [name, user] : parse_users(text, "users")) {
      check(!name.empty() && name.find(':') == name.npos, "a name is a word");
      check(user.home.starts_with('/'), "a home is an absolute path");
      check(!user.hash.empty(), "nobody is without a password");
    }
  } catch (const Error& error) {
    check(std::string_view{error.what()}.starts_with("users:"), "the line is named");
  }
  return 0;
}

}  // namespace procpool::ftp
