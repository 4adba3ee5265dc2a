#include "proc/detail/cgroup.hpp"

#include <algorithm>
#include <charconv>
#include <string>
#include <vector>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"

namespace procpool::proc::detail {
namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const auto end = std::min(text.find(separator), text.size());
    parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

bool contains(const std::vector<std::string_view>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// Nullopt: no such file, or a word instead ("max"), or -1: no limit.
std::optional<double> positive_number(std::string_view text) {
  double number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return parsed.ec == std::errc{} && number > 0 ? std::optional{number} : std::nullopt;
}

std::string contents(const std::string& path) {
  try {
    return read_file(path);
  } catch (const Error&) {
    return {};  // the root group has none
  }
}

std::optional<double> ratio(std::optional<double> quota, std::optional<double> period) {
  return quota && period ? std::optional{*quota / *period} : std::nullopt;
}

std::optional<double> quota_v2(const std::string& folder) {
  const std::string text = contents(folder + "/cpu.max");
  const auto words = split(text.substr(0, text.find('\n')), ' ');
  return words.size() == 2 ? ratio(positive_number(words[0]), positive_number(words[1]))
                           : std::nullopt;
}

std::optional<double> quota_v1(const std::string& folder) {
  return ratio(positive_number(contents(folder + "/cpu.cfs_quota_us")),
               positive_number(contents(folder + "/cpu.cfs_period_us")));
}

struct Hierarchy {
  std::string_view group;  // the process's, from the hierarchy's root
  bool is_v2;
};

// "hierarchy:controllers:group"; v2 has number 0 and no controllers.
std::vector<Hierarchy> hierarchies_in(std::string_view cgroup) {
  std::vector<Hierarchy> found;
  for (const std::string_view line : split(cgroup, '\n')) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const bool is_v2 = controllers.empty();
    if (is_v2 || contains(split(controllers, ','), "cpu")) {
      found.push_back({line.substr(second + 1), is_v2});
    }
  }
  return found;
}

struct Mount {
  std::string_view root;  // the group that it shows
  std::string_view point;
};

// "36 35 98:0 /root /mount/point options [tags] - type source super-options"
std::optional<Mount> mount_of(const Hierarchy& hierarchy, std::string_view mountinfo) {
  for (const std::string_view line : split(mountinfo, '\n')) {
    const auto words = split(line, ' ');
    const auto dash = std::find(words.begin(), words.end(), "-");
    if (words.size() < 5 || words.end() - dash < 4) continue;
    const bool matches = hierarchy.is_v2
                             ? dash[1] == "cgroup2"
                             : dash[1] == "cgroup" && contains(split(dash[3], ','), "cpu");
    if (matches) return Mount{words[3], words[4]};
  }
  return std::nullopt;
}

// The group as a path beneath the mount: "" for what the mount shows at its top.
std::string_view beneath(std::string_view group, std::string_view root) {
  if (root == "/") return group == "/" ? std::string_view{} : group;
  return group.starts_with(root) ? group.substr(root.size()) : std::string_view{};
}

}  // namespace

std::optional<double> cpu_quota(std::string_view cgroup, std::string_view mountinfo) {
  std::optional<double> tightest;
  for (const Hierarchy& hierarchy : hierarchies_in(cgroup)) {
    const auto mount = mount_of(hierarchy, mountinfo);
    if (!mount) continue;
    for (std::string_view group = beneath(hierarchy.group, mount->root);;
         group = group.substr(0, group.rfind('/'))) {
      const std::string folder = std::string{mount->point}.append(group);
      const auto quota = hierarchy.is_v2 ? quota_v2(folder) : quota_v1(folder);
      if (quota) tightest = std::min(tightest.value_or(*quota), *quota);
      if (group.empty()) break;
    }
  }
  return tightest;
}

}  // namespace procpool::proc::detail
