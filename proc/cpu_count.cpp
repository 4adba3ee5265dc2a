#include "proc/cpu_count.hpp"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "proc/detail/cgroup.hpp"

namespace procpool::proc {
namespace {

struct FreeCpuSet {
  void operator()(cpu_set_t* set) const noexcept { CPU_FREE(set); }
};

// The kernel refuses (EINVAL) a set that is too small for the machine.
int cpus_of_affinity() {
  for (std::size_t most = 1024;; most *= 2) {
    const std::unique_ptr<cpu_set_t, FreeCpuSet> set{CPU_ALLOC(most)};
    const std::size_t size = CPU_ALLOC_SIZE(most);
    if (::sched_getaffinity(0, size, set.get()) == 0) return CPU_COUNT_S(size, set.get());
    if (errno != EINVAL) throw_errno("sched_getaffinity");
  }
}

}  // namespace

int available_cpus() {
  const int cpus = cpus_of_affinity();
  const auto quota =
      detail::cpu_quota(read_file("/proc/self/cgroup"), read_file("/proc/self/mountinfo"));
  return quota ? std::clamp(static_cast<int>(std::ceil(*quota)), 1, cpus) : cpus;
}

}  // namespace procpool::proc
