#include "servers/models/cpu_list.hpp"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <optional>
#include <string>

#include "ipc/base/error.hpp"

namespace procpool::models {
namespace {

constexpr int kMostCpus = 8192;  // CONFIG_NR_CPUS_RANGE_END of the kernel

std::optional<int> parse_cpu(std::string_view text) {
  int cpu = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), cpu);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return cpu >= 0 && cpu < kMostCpus ? std::optional{cpu} : std::nullopt;
}

}  // namespace

CpuList parse_cpu_list(std::string_view text) {
  CpuList cpus;
  for (std::string_view rest = text;;) {
    const auto comma = rest.find(',');
    const std::string_view part = rest.substr(0, comma);
    const auto dash = part.find('-');
    const auto first = parse_cpu(part.substr(0, dash));
    const auto last = dash == part.npos ? first : parse_cpu(part.substr(dash + 1));
    if (!first || !last || *first > *last)
      throw Error{"CPUs", std::string{text}, "must be numbers and ranges, as \"0,2-3\""};
    for (int cpu = *first; cpu <= *last; ++cpu) cpus.push_back(cpu);
    if (comma == rest.npos) break;
    rest.remove_prefix(comma + 1);
  }
  std::ranges::sort(cpus);
  const auto repeated = std::ranges::unique(cpus);
  cpus.erase(repeated.begin(), repeated.end());
  return cpus;
}

// The kernel refuses (EINVAL) a set that is too small for the machine.
CpuList allowed_cpus() {
  std::vector<cpu_set_t> set(kMostCpus / CPU_SETSIZE);
  const std::size_t size = set.size() * sizeof(cpu_set_t);
  if (::sched_getaffinity(0, size, set.data()) < 0) throw_errno("sched_getaffinity");
  CpuList cpus;
  for (int cpu = 0; cpu < kMostCpus; ++cpu) {
    if (CPU_ISSET_S(static_cast<std::size_t>(cpu), size, set.data())) cpus.push_back(cpu);
  }
  return cpus;
}

int least_used_cpu(const CpuList& cpus, const std::vector<int>& used) {
  return *std::ranges::min_element(cpus, {},
                                   [&](int cpu) { return std::ranges::count(used, cpu); });
}

}  // namespace procpool::models
