#include "servers/ftp/detail/random_number.hpp"

#include <sys/random.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"

namespace procpool::ftp::detail {

// Not by std::random_device: to make one asks the processor who it is (CPUID), which under a
// hypervisor takes longer than a small file.
unsigned random_number() {
  unsigned number = 0;
  if (retry_eintr([&] { return ::getrandom(&number, sizeof number, 0); }) != sizeof number)
    throw_errno("getrandom");
  return number;
}

}  // namespace procpool::ftp::detail
