// For which part of the time processes have used a CPU of late.
//
//   CpuMeter meter;
//   meter.look();                                      // at all of them, now and then
//   const double ratio = meter.ratio(pid, *usage_of(pid));
#pragma once

#include <sys/types.h>

#include <map>

#include "servers/http/detail/process_usage.hpp"

namespace procpool::http {

// Keeps what it saw at the last look. A value, of one thread.
class CpuMeter {
 public:
  // Begins a look. Processes that are not asked for in it are forgotten.
  void look();

  // Of one CPU, from the look before to this one; of a process that it sees for the first time,
  // since that began. Looks that follow each other closely tell the same: the kernel counts in
  // ticks.
  double ratio(pid_t pid, const ProcessUsage& usage);

 private:
  struct Seen {
    double at;  // seconds, as usage.started_seconds
    ProcessUsage usage;
    double ratio;
  };

  double now_ = 0;
  std::map<pid_t, Seen> before_;
  std::map<pid_t, Seen> seen_;
};

}  // namespace procpool::http
