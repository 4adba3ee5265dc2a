// How much CPU time the cgroups of this process allow.
#pragma once

#include <optional>
#include <string_view>

namespace procpool::proc::detail {

// The CPUs' worth of time (1.5: three halves) of the tightest quota on the way from this process's
// cgroup to the root, of v2 (cpu.max) or v1 (cpu.cfs_quota_us and cpu.cfs_period_us); nullopt: no
// quota is visible. The texts are those of /proc/self/cgroup, cgroups(7), and /proc/self/mountinfo,
// proc(5).
std::optional<double> cpu_quota(std::string_view cgroup, std::string_view mountinfo);

}  // namespace procpool::proc::detail
