#include "proc/cpu_count.hpp"

#include <sched.h>

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "proc/detail/cgroup.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::proc {
namespace {

using detail::cpu_quota;

TEST(AvailableCpus, is_at_least_one_and_at_most_the_affinity) {
  cpu_set_t set;
  ASSERT_EQ(::sched_getaffinity(0, sizeof set, &set), 0);
  EXPECT_GE(available_cpus(), 1);
  EXPECT_LE(available_cpus(), CPU_COUNT(&set));
}

TEST(AvailableCpus, honours_the_affinity) {
  test::Forked pinned{[] {
    cpu_set_t set;
    ::sched_getaffinity(0, sizeof set, &set);
    int first = 0;
    while (!CPU_ISSET(first, &set)) ++first;
    CPU_ZERO(&set);
    CPU_SET(first, &set);
    ::sched_setaffinity(0, sizeof set, &set);
    return available_cpus();
  }};
  EXPECT_EQ(pinned.wait(), test::exited(1));
}

// A tree of groups in a folder, as a mount of cgroup shows it.
class CpuQuota : public testing::Test {
 protected:
  void write(const std::string& group, const std::string& file, const std::string& text) const {
    const auto folder = dir_.path() / group;
    std::filesystem::create_directories(folder);
    std::ofstream{folder / file} << text;
  }

  std::string mount(const std::string& root, const std::string& type,
                    const std::string& options) const {
    return "22 1 0:20 / /proc rw,nosuid - proc proc rw\n30 22 0:26 " + root + " " +
           dir_.path().string() + " rw,nosuid shared:9 - " + type + " cgroup " + options + "\n";
  }

  test::TempDir dir_;
};

TEST_F(CpuQuota, is_the_tightest_of_the_groups_above) {
  write("", "cgroup.procs", "");
  write("outer", "cpu.max", "150000 100000\n");
  write("outer/inner", "cpu.max", "400000 100000\n");
  EXPECT_EQ(cpu_quota("0::/outer/inner\n", mount("/", "cgroup2", "rw")), 1.5);
  EXPECT_EQ(cpu_quota("0::/outer\n", mount("/", "cgroup2", "rw")), 1.5);
}

TEST_F(CpuQuota, is_none_where_none_is_set) {
  write("free", "cpu.max", "max 100000\n");
  EXPECT_EQ(cpu_quota("0::/free\n", mount("/", "cgroup2", "rw")), std::nullopt);
  EXPECT_EQ(cpu_quota("0::/gone\n", mount("/", "cgroup2", "rw")), std::nullopt);
  EXPECT_EQ(cpu_quota("0::/\n", mount("/", "cgroup2", "rw")), std::nullopt);
  EXPECT_EQ(cpu_quota("0::/free\n", ""), std::nullopt);
  EXPECT_EQ(cpu_quota("", ""), std::nullopt);
}

TEST_F(CpuQuota, is_found_inside_a_container_whose_root_is_a_group) {
  write("", "cpu.max", "50000 100000\n");
  EXPECT_EQ(cpu_quota("0::/\n", mount("/", "cgroup2", "rw")), 0.5);
  EXPECT_EQ(cpu_quota("0::/docker/abc\n", mount("/docker/abc", "cgroup2", "rw")), 0.5);
}

TEST_F(CpuQuota, is_read_from_version_1_too) {
  write("web", "cpu.cfs_quota_us", "250000\n");
  write("web", "cpu.cfs_period_us", "100000\n");
  const std::string groups = "5:memory:/other\n4:cpu,cpuacct:/web\n0::/\n";
  EXPECT_EQ(cpu_quota(groups, mount("/", "cgroup", "rw,cpu,cpuacct")), 2.5);
  EXPECT_EQ(cpu_quota(groups, mount("/", "cgroup", "rw,memory")), std::nullopt);
  write("web", "cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(cpu_quota(groups, mount("/", "cgroup", "rw,cpu,cpuacct")), std::nullopt);
}

}  // namespace
}  // namespace procpool::proc
