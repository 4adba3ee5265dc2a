#include "servers/http/detail/cpu_meter.hpp"

#include <unistd.h>

#include <gtest/gtest.h>

#include "tests/support/eventually.hpp"

namespace procpool::http {
namespace {

constexpr pid_t kPid = 4711;

class Meter : public testing::Test {
 protected:
  double ratio_at_next_look(double cpu_seconds) {
    usage_.cpu_seconds = cpu_seconds;
    meter_.look();
    return meter_.ratio(kPid, usage_);
  }

  CpuMeter meter_;
  ProcessUsage usage_{.cpu_seconds = 0, .started_seconds = 0, .resident_bytes = 0};
};

TEST_F(Meter, tells_at_first_what_a_process_has_used_since_it_began) {
  EXPECT_EQ(ratio_at_next_look(0), 0.0);
  const auto own = usage_of(::getpid());
  ASSERT_TRUE(own);
  CpuMeter fresh;
  fresh.look();
  const double ratio = fresh.ratio(::getpid(), *own);
  EXPECT_GE(ratio, 0.0);
  EXPECT_LE(ratio, own->cpu_seconds * 2);
}

TEST_F(Meter, tells_then_what_it_has_used_since_the_look_before) {
  EXPECT_EQ(ratio_at_next_look(0), 0.0);
  EXPECT_EQ(ratio_at_next_look(1), 0.0) << "too soon to tell";
  EXPECT_TRUE(test::eventually([&] { return ratio_at_next_look(1) > 0; }));
  const double ratio = ratio_at_next_look(9);
  EXPECT_LE(ratio, 2.0);
  EXPECT_TRUE(test::eventually([&] { return ratio_at_next_look(9) > ratio; }));
}

TEST_F(Meter, knows_a_process_that_has_the_number_of_another_one) {
  EXPECT_TRUE(test::eventually([&] {
    ratio_at_next_look(1000);
    usage_.started_seconds = -1000;
    const double since_its_begin = ratio_at_next_look(0);
    usage_.started_seconds = 0;
    return since_its_begin == 0;
  }));
}

}  // namespace
}  // namespace procpool::http
