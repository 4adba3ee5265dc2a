#include "proc/run.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "proc/signal_action.hpp"
#include "tests/proc/telling.hpp"
#include "tests/support/children.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/held_child.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::proc {
namespace {

using namespace std::chrono_literals;

std::vector<std::string> shell(const std::string& command) {
  return {"/bin/sh", "-c", command};
}

TEST(Run, gives_back_both_outputs_and_the_status) {
  const RunResult result = run(shell("echo out; echo err >&2; exit 3"));
  EXPECT_EQ(result.status, ExitStatus::exited(3));
  EXPECT_EQ(result.out, "out\n");
  EXPECT_EQ(result.err, "err\n");
  EXPECT_FALSE(result.timed_out);
}

TEST(Run, feeds_more_than_a_pipe_holds_while_it_reads_as_much) {
  const std::string text(3'000'000, 'x');
  const RunResult result = run({"cat"}, {}, {.input = text});
  EXPECT_EQ(result.status, ExitStatus::exited(0));
  EXPECT_TRUE(result.out == text);
}

TEST(Run, gives_an_empty_input_its_end_at_once) {
  EXPECT_EQ(run({"cat"}, {}, {.input = ""}).status, ExitStatus::exited(0));
}

TEST(Run, does_not_mind_a_program_that_reads_nothing_of_its_input) {
  const std::string text(3'000'000, 'x');
  EXPECT_EQ(run({"true"}, {}, {.input = text}).status, ExitStatus::exited(0));
  EXPECT_EQ(run(shell("exec 0<&-; echo $?"), {}, {.input = text}).out, "0\n");
  sigset_t pending;
  ::sigpending(&pending);
  EXPECT_FALSE(SignalSet{pending}.contains(SIGPIPE));
  EXPECT_FALSE(SignalSet::blocked().contains(SIGPIPE));
}

TEST(Run, does_not_wait_for_a_grandchild_that_holds_the_pipes) {
  const RunResult result = run(shell("sleep 1000 & echo done"));
  EXPECT_EQ(result.status, ExitStatus::exited(0));
  EXPECT_EQ(result.out, "done\n");
  test::kill_and_reap_all();
}

TEST(Run, ends_although_a_grandchild_writes_for_ever) {
  const RunResult result = run(shell("yes & sleep 0.01; echo done >&2"));
  EXPECT_EQ(result.err, "done\n");
  test::kill_and_reap_all();
}

TEST(Run, waits_for_the_end_of_the_output_as_long_as_it_is_told) {
  const auto late = shell("(sleep 0.1; echo late) &");
  EXPECT_EQ(run(late, {}, {.drain = 1h}).out, "late\n");
  EXPECT_TRUE(test::await_no_children());
}

TEST(Run, takes_all_that_a_program_has_written_before_it_ended) {
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(run(shell("head -c 60000 /dev/zero; exit 1")).out.size(), 60'000U);
  }
}

TEST(Run, kills_what_is_not_done_by_the_deadline) {
  const RunResult result =
      run(shell("echo begun; exec sleep 1000"), {}, {.deadline = Deadline::in(50ms)});
  EXPECT_TRUE(result.timed_out);
  EXPECT_EQ(result.status, ExitStatus::signaled(SIGKILL));
}

TEST(Run, gives_back_what_was_written_until_the_deadline) {
  // Nobody dies of SIGURG before he has said what he does at it.
  const Escalation until_heard(1'000, {SIGURG, 20ms});
  const RunResult result =
      run(shell("echo begun; trap 'echo ended; exit 5' URG; while :; do sleep 0.01; done"), {},
          {.deadline = Deadline::now(), .at_deadline = until_heard});
  EXPECT_TRUE(result.timed_out);
  EXPECT_EQ(result.status, ExitStatus::exited(5));
  EXPECT_EQ(result.out, "begun\nended\n");
}

TEST(Run, escalates_at_the_deadline) {
  const RunResult result =
      run({"sleep", "1000"}, {.ignored_signals = {SIGTERM}},
          {.deadline = Deadline::now(), .at_deadline = {{SIGTERM, 10ms}, {SIGKILL, kForever}}});
  EXPECT_EQ(result.status, ExitStatus::signaled(SIGKILL));
  EXPECT_TRUE(result.timed_out);
}

TEST(Run, leaves_nobody_of_a_group_at_the_deadline) {
  const RunResult result =
      run(shell("sleep 1000 & sleep 1000"), {.process_group = ProcessGroup::own},
          {.deadline = Deadline::in(50ms)});
  EXPECT_TRUE(result.timed_out);
  EXPECT_TRUE(test::await_no_children());
}

TEST(Run, has_passed_a_deadline_that_was_before_its_start) {
  EXPECT_TRUE(run({"sleep", "1000"}, {}, {.deadline = Deadline::now()}).timed_out);
}

TEST(Run, puts_stderr_where_it_is_redirected) {
  const RunResult result = run(shell("echo out; echo err >&2"),
                               {.redirections = {Redirection::fd(STDERR_FILENO, STDOUT_FILENO)}});
  EXPECT_EQ(result.out, "out\nerr\n");
  EXPECT_EQ(result.err, "");
}

TEST(Run, leaves_the_parents_own_descriptors_if_it_is_told_to) {
  const test::TempDir dir;
  const std::string path = dir.path() / "out";
  Process parent = Process::fork(
      [] {
        const RunResult result =
            run(shell("echo visible"),
                {.redirections = {Redirection::fd(STDOUT_FILENO, STDOUT_FILENO)}});
        return result.status.success() && result.out.empty() ? 0 : 1;
      },
      {.redirections = {Redirection::file(STDOUT_FILENO, path)}});
  EXPECT_EQ(parent.wait(), ExitStatus::exited(0));
  EXPECT_EQ(read_file(path), "visible\n");
}

TEST(Run, works_with_the_standard_descriptors_closed) {
  test::Forked bare{[] {
    for (int fd = 0; fd < 3; ++fd) ::close(fd);
    const RunResult result =
        run(shell("cat; cat >&2 < /dev/null; echo err >&2"), {}, {.input = "in"});
    const PipelineResult line =
        run_pipeline({{{"cat"}}, {{"cat"}}, {{"cat"}}}, {.input = "through"});
    return result.out == "in" && result.err == "err\n" && line.out == "through" ? 0 : 1;
  }};
  EXPECT_EQ(bare.wait(), test::exited(0));
}

TEST(Run, notices_the_end_of_a_program_whenever_it_ends) {
  const auto run_silent_program = [] {
    run({"sleep", "0.05"}, {.redirections = {Redirection::null(1), Redirection::null(2)}});
    return 0;
  };
  const auto end_program = [](pid_t runner) {
    for (const test::Child& program : test::list_children(runner)) ::kill(program.pid, SIGKILL);
    EXPECT_TRUE(test::eventually([&] {
      const auto programs = test::list_children(runner);
      return std::all_of(programs.begin(), programs.end(),
                         [](const test::Child& program) { return program.state == 'Z'; });
    }));
  };
  bool held = true;
  for (std::size_t nth = 0; held; ++nth) {
    const test::Held runner = test::hold_at_system_call(nth, run_silent_program, end_program);
    EXPECT_EQ(runner.ending, test::exited(0)) << nth;
    held = runner.held;
  }
}

TEST(Run, refuses_more_output_than_the_limit_and_leaves_nobody) {
  EXPECT_EQ(error_of([] { run({"yes"}, {.on_destroy = OnDestroy::wait}, {.limit = 100'000}); }),
            "read \"output\": File too large");
  EXPECT_FALSE(test::has_children());
}

TEST(Run, says_what_could_not_be_run) {
  EXPECT_EQ(error_of([] { run({"no-such-program"}, {}, {.input = "x"}); }),
            "exec \"no-such-program\": No such file or directory");
  EXPECT_EQ(error_of([] { run({}); }), "exec: no program is given");
}

TEST(Pipeline, connects_programs_and_gives_the_status_of_each) {
  const PipelineResult result =
      run_pipeline({{shell("cat; exit 3")}, {{"tr", "a-z", "A-Z"}}, {shell("sort; kill -TERM $$")}},
                   {.input = "b\na\n"});
  EXPECT_EQ(result.out, "A\nB\n");
  ASSERT_EQ(result.statuses.size(), 3U);
  EXPECT_EQ(result.statuses[0], ExitStatus::exited(3));
  EXPECT_EQ(result.statuses[1], ExitStatus::exited(0));
  EXPECT_EQ(result.statuses[2], ExitStatus::signaled(SIGTERM));
}

TEST(Pipeline, ends_a_program_that_writes_to_one_that_has_ended) {
  const PipelineResult result = run_pipeline({{{"yes"}}, {{"head", "-n1"}}});
  EXPECT_EQ(result.out, "y\n");
  EXPECT_EQ(result.statuses[0], ExitStatus::signaled(SIGPIPE));
}

TEST(Pipeline, collects_what_all_programs_say_on_stderr) {
  const PipelineResult result =
      run_pipeline({{shell("echo first >&2")}, {shell("cat; echo second >&2")}});
  EXPECT_EQ(result.err, "first\nsecond\n");
}

TEST(Pipeline, sends_stderr_down_the_pipe_too_if_a_program_redirects_it) {
  const Program noisy{shell("echo out; echo err >&2"),
                      {.redirections = {Redirection::fd(STDERR_FILENO, STDOUT_FILENO)}}};
  EXPECT_EQ(run_pipeline({noisy, {{"sort"}}}).out, "err\nout\n");
}

TEST(Pipeline, is_stopped_as_a_whole_at_the_deadline) {
  const PipelineResult result = run_pipeline({{{"sleep", "1000"}}, {{"cat"}}, {{"sleep", "1000"}}},
                                             {.deadline = Deadline::in(50ms)});
  EXPECT_TRUE(result.timed_out);
  EXPECT_FALSE(test::has_children());
}

TEST(Pipeline, leaves_nobody_when_a_program_cannot_be_started) {
  EXPECT_EQ(error_of([] { run_pipeline({{{"yes"}}, {{"cat"}}, {{"no-such-program"}}}); }),
            "exec \"no-such-program\": No such file or directory");
  EXPECT_FALSE(test::has_children());
}

TEST(Pipeline, is_nothing_without_a_program) {
  EXPECT_TRUE(run_pipeline({}).statuses.empty());
  EXPECT_TRUE(spawn_pipeline({}).empty());
}

TEST(Pipeline, gives_its_children_to_who_wants_them) {
  auto children =
      spawn_pipeline({{{"cat"}, {.redirections = {Redirection::pipe_to(STDIN_FILENO)}}},
                      {{"cat"}, {.redirections = {Redirection::pipe_from(STDOUT_FILENO)}}}});
  write_full(children.front().pipe(STDIN_FILENO).fd(), "through", "cat");
  children.front().pipe(STDIN_FILENO).reset();
  EXPECT_EQ(read_to_end(children.back().pipe(STDOUT_FILENO).fd(), "cat"), "through");
  for (Process& child : children) EXPECT_EQ(child.wait(), ExitStatus::exited(0));
}

}  // namespace
}  // namespace procpool::proc
