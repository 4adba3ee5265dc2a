// Which CPUs the workers of a server run on.
//
//   CpuList cpus = parse_cpu_list("0,2-3");      // {0, 2, 3}
//   CpuList cpus = allowed_cpus();
#pragma once

#include <string_view>
#include <vector>

namespace procpool::models {

// Numbers of CPUs as the kernel counts them, in rising order, each once.
using CpuList = std::vector<int>;

// The form of cpuset(7): numbers and ranges between commas. Throws Error.
CpuList parse_cpu_list(std::string_view text);

// Those that the calling thread may run on: sched_getaffinity(2). Throws Error.
CpuList allowed_cpus();

// Of `cpus`, of which there is one at least, the first of those that are in `used` least often.
int least_used_cpu(const CpuList& cpus, const std::vector<int>& used);

}  // namespace procpool::models
