// The checks of tests/support, which must go red when something is left, hangs or crashes. What
// they are shown are the disabled tests below, run by this program in a process of its own.
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/process_id.hpp"
#include "ipc/pipe.hpp"
#include "tests/support/children.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/shared_name.hpp"
#include "tests/support/single_step.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::test {
namespace {

void sleep_for_ever() {
  for (;;) ::pause();
}

struct Outcome {
  Ending ending;
  std::string output;
};

Outcome run(const std::string& faulty) {
  auto [reader, writer] = ipc::make_pipe();
  Forked program{[&, &out = writer] {
    ::dup2(out.fd(), STDOUT_FILENO);
    ::dup2(out.fd(), STDERR_FILENO);
    ::setenv("PROCPOOL_TEST_TIMEOUT", "2", 1);
    const std::string filter = "--gtest_filter=Faulty." + faulty;
    ::execl(PROCPOOL_FAULTY_TESTS, "faulty_tests", filter.c_str(), nullptr);
    throw_errno("execl", PROCPOOL_FAULTY_TESTS);
  }};
  writer.close();
  Outcome outcome{.ending = {}, .output = read_to_end(reader.fd(), "output of the test")};
  outcome.ending = program.wait();
  return outcome;
}

// The program fails and says these words.
void expect_red(const std::string& faulty, std::string_view words) {
  const Outcome outcome = run(faulty);
  EXPECT_NE(outcome.ending, exited(0)) << faulty;
  EXPECT_NE(outcome.output.find(words), std::string::npos) << outcome.output;
}

TEST(TestSupport, is_green_when_nothing_is_wrong) {
  EXPECT_EQ(run("nothing_wrong").ending, exited(0));
}

TEST(TestSupport, finds_children_zombies_and_orphans) {
  expect_red("child", "processes are left: ");
  expect_red("zombie", "processes are left: ");
  expect_red("orphan", "processes are left: ");
}

TEST(TestSupport, finds_descriptors_that_were_left_open_or_closed) {
  expect_red("descriptor", "is left open: /dev/null");
  expect_red("closed_descriptor", "descriptor 0 was closed");
}

TEST(TestSupport, finds_files_that_were_left_in_shared_memory) {
  expect_red("shared_file", "file is left in /dev/shm: procpool.-test-");
}

TEST(TestSupport, names_a_test_that_crashes) {
  expect_red("crash", "[ WATCHDOG ] Faulty.crash: killed by signal 9");
}

TEST(TestSupport, ends_a_test_that_hangs_with_its_children_and_names_it) {
  const Outcome outcome = run("hang");
  EXPECT_NE(outcome.ending, exited(0));
  EXPECT_NE(outcome.output.find("[ WATCHDOG ] Faulty.hang: hangs"), std::string::npos);
  const auto place = outcome.output.find("\nchild ");
  ASSERT_NE(place, std::string::npos) << outcome.output;
  const pid_t child = std::stoi(outcome.output.substr(place + 7));
  EXPECT_EQ(ProcessId::of(child), std::nullopt);
}

TEST(Forked, ends_as_its_body_does) {
  EXPECT_EQ(Forked{[] {}}.wait(), exited(0));
  EXPECT_EQ(Forked{[] { return 5; }}.wait(), exited(5));
  EXPECT_EQ(Forked{[] { ::raise(SIGTERM); }}.wait(), killed_by(SIGTERM));
  EXPECT_EQ(Forked{[] { throw std::runtime_error{"on purpose"}; }}.wait(), exited(kThrew));
  EXPECT_EQ(Forked{[] { EXPECT_EQ(1, 2) << "on purpose"; }}.wait(), exited(kExpectFailed));
}

TEST(Forked, is_killed_and_reaped_when_it_goes_out_of_scope) {
  pid_t pid = 0;
  {
    const Forked child{sleep_for_ever};
    pid = child.pid();
  }
  EXPECT_EQ(ProcessId::of(pid), std::nullopt);
}

TEST(Children, of_a_killed_parent_are_adopted_and_may_be_waited_for) {
  Gate gate;
  Forked parent{[&] {
    const Forked child{[&] { gate.wait(); }};
    ::raise(SIGKILL);
  }};
  parent.wait();
  EXPECT_EQ(list_children().size(), 1U);
  EXPECT_FALSE(await_no_children(Deadline::now()));
  gate.open();
  EXPECT_TRUE(await_no_children());
}

TEST(TempDir, is_removed_by_its_maker_only) {
  std::filesystem::path path;
  {
    const TempDir dir;
    path = dir.path();
    Forked child{[copy = dir.path()] { EXPECT_TRUE(exists(copy)); }};
    EXPECT_EQ(child.wait(), exited(0));
    EXPECT_TRUE(exists(path));
  }
  EXPECT_FALSE(exists(path));
}

TEST(SteppedChild, stands_at_every_step_of_its_operation_and_comes_to_its_end) {
  std::array<std::byte, 1> buffer;
  auto [reader, writer] = ipc::make_pipe();
  SteppedChild writes{[&, &out = writer] { out.write_full("x"); }};
  std::size_t steps = 0;
  while (writes.step(1) == SteppedChild::Progress::inside) ++steps;
  EXPECT_GT(steps, 3U);
  EXPECT_EQ(writes.step(1), SteppedChild::Progress::ended);
  EXPECT_EQ(reader.read_some(buffer), 1U);
  writes.kill();
}

TEST(SteppedChild, is_found_asleep_where_it_waits) {
  Gate gate;
  SteppedChild waits{[&] { gate.wait(); }};
  EXPECT_EQ(waits.step(1'000'000), SteppedChild::Progress::asleep);
  waits.kill();
}

void count(int turns) {
  [[maybe_unused]] volatile int last = 0;
  for (int turn = 0; turn < turns; ++turn) last = turn;
}

TEST(Sweep, stands_where_as_many_steps_lead_to) {
  if (kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  const auto operation = [] { count(4); };
  Sweep sweep;
  while (sweep.next()) {
    SteppedChild victim{operation};
    sweep.advance(victim);
    SteppedChild stepped{operation};
    ASSERT_EQ(stepped.step(sweep.instructions()), sweep.progress());
    ASSERT_EQ(victim.address(), stepped.address()) << sweep.instructions();
    victim.kill();
    stepped.kill();
  }
  EXPECT_EQ(sweep.progress(), SteppedChild::Progress::ended);
  EXPECT_GT(sweep.instructions(), 20U);
}

TEST(Sweep, comes_to_the_end_by_its_stride) {
  if (kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  Sweep sweep{13};
  std::size_t victims = 0;
  for (; sweep.next(); ++victims) {
    SteppedChild victim{[] { count(40); }};
    sweep.advance(victim);
    victim.kill();
  }
  EXPECT_EQ(sweep.progress(), SteppedChild::Progress::ended);
  EXPECT_EQ(sweep.instructions(), 13 * (victims - 1));
}

TEST(Sweep, tries_again_when_a_victim_goes_another_way) {
  if (kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  Sweep sweep;
  std::size_t longest = 0;
  for (int turn = 0; sweep.next(); ++turn) {
    SteppedChild victim{[&] { turn % 2 == 0 ? count(9) : static_cast<void>(::getppid()); }};
    sweep.advance(victim);
    victim.kill();
    longest = std::max(longest, sweep.instructions());
  }
  EXPECT_EQ(sweep.progress(), SteppedChild::Progress::ended);
  EXPECT_EQ(sweep.instructions(), longest);
}

TEST(Sweep, ends_in_a_sleep) {
  if (kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  Gate gate;
  Sweep sweep;
  while (sweep.next()) {
    SteppedChild victim{[&] { gate.wait(); }};
    sweep.advance(victim);
    victim.kill();
  }
  EXPECT_EQ(sweep.progress(), SteppedChild::Progress::asleep);
}

}  // namespace
}  // namespace procpool::test
