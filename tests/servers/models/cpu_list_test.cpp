#include "servers/models/cpu_list.hpp"

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"

namespace procpool::models {
namespace {

TEST(CpuList, is_read_from_numbers_and_ranges) {
  EXPECT_EQ(parse_cpu_list("0"), (CpuList{0}));
  EXPECT_EQ(parse_cpu_list("3,0-1,1"), (CpuList{0, 1, 3}));
  EXPECT_EQ(parse_cpu_list("5-7"), (CpuList{5, 6, 7}));
  for (const char* text : {"", ",", "1,", "1-", "-1", "2-1", "x", " 1", "1 ", "8192", "4294967296"})
    EXPECT_THROW(parse_cpu_list(text), Error) << text;
}

TEST(CpuList, of_this_process_is_not_empty) {
  EXPECT_FALSE(allowed_cpus().empty());
}

TEST(CpuList, gives_each_cpu_its_turn) {
  const CpuList cpus{2, 5, 7};
  std::vector<int> used;
  for (const int expected : {2, 5, 7, 2, 5, 7}) {
    used.push_back(least_used_cpu(cpus, used));
    EXPECT_EQ(used.back(), expected);
  }
  EXPECT_EQ(least_used_cpu(cpus, {2, 7}), 5);
}

}  // namespace
}  // namespace procpool::models
