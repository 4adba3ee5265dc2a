// How many workers this process can keep busy.
//
//   int workers = available_cpus();
#pragma once

namespace procpool::proc {

// The CPUs that the calling thread may run on (sched_getaffinity(2)), or fewer if a cgroup allows
// less time than they have (cpu.max of cgroup v2, cpu.cfs_quota_us of v1, of this process's group
// and those above it that are visible), rounded up. At least 1. Not cheap: ask once.
int available_cpus();

}  // namespace procpool::proc
