#include "servers/http/detail/cpu_meter.hpp"

#include <algorithm>
#include <ctime>
#include <utility>

namespace procpool::http {
namespace {

constexpr double kShortest = 0.5;  // seconds between two looks: 50 ticks, mostly

double seconds_since_boot() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

}  // namespace

void CpuMeter::look() {
  now_ = seconds_since_boot();
  before_ = std::exchange(seen_, {});
}

double CpuMeter::ratio(pid_t pid, const ProcessUsage& usage) {
  const auto before = before_.find(pid);
  const bool known =
      before != before_.end() && before->second.usage.started_seconds == usage.started_seconds;
  if (known && now_ - before->second.at < kShortest)
    return seen_.insert_or_assign(pid, before->second).first->second.ratio;
  const double since = known ? before->second.at : usage.started_seconds;
  const double used = usage.cpu_seconds - (known ? before->second.usage.cpu_seconds : 0);
  const double ratio = used / std::max(now_ - since, kShortest);
  seen_.insert_or_assign(pid, Seen{.at = now_, .usage = usage, .ratio = ratio});
  return ratio;
}

}  // namespace procpool::http
