// A configuration file is loaded or refused with a reason: nothing else ever happens.
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/unique_fd.hpp"
#include "servers/http/options.hpp"
#include "tests/fuzz/check.hpp"

namespace procpool::http {

using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const UniqueFd file{::memfd_create("options", MFD_CLOEXEC)};
  if (!file.valid()) throw_errno("memfd_create");
  write_full(file.fd(), {reinterpret_cast<const char*>(data), size}, "options");
  const std::string path = "/proc/self/fd/" + std::to_string(file.fd());

  Options options;
  try {
    load_config(path, options);
    check(!options.listen.empty(), "there is somewhere to listen");
    check(options.max_connections > 0 && options.workers <= 1024, "numbers are in their range");
    check(options.idle_timeout.count() > 0, "times are in their range");
  } catch (const OptionsError& error) {
    check(std::string_view{error.what()}.find(path) != std::string_view::npos, "the file is named");
  }
  return 0;
}

}  // namespace procpool::http
