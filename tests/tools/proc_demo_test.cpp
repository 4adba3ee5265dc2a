// The program proc-demo, as somebody would try it.
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "ipc/base/io.hpp"
#include "proc/process.hpp"
#include "tests/support/children.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/tools/tool.hpp"

namespace procpool::test {
namespace {

using proc::ExitStatus;
using proc::Process;
using proc::Redirection;

std::vector<std::string> command(const std::vector<std::string>& arguments) {
  return command_of(PROCPOOL_PROC_DEMO, arguments);
}

Ran run(const std::vector<std::string>& arguments) {
  return run_tool(PROCPOOL_PROC_DEMO, arguments);
}

void expect_proved(const Ran& run) {
  EXPECT_EQ(run.status, ExitStatus::exited(0)) << run.status.text() << run.output << run.errors;
  EXPECT_EQ(run.errors, "");
  EXPECT_TRUE(contains(run.output, "\nTimeline\n")) << run.output;
  EXPECT_TRUE(contains(run.output, "\n  ok  ")) << run.output;
  EXPECT_TRUE(contains(run.output, "  ok  processes left behind")) << run.output;
  EXPECT_FALSE(contains(run.output, "WRONG")) << run.output;
  EXPECT_TRUE(contains(run.output, "\nTo remember\n")) << run.output;
  EXPECT_FALSE(contains(run.output, "\x1b")) << run.output;
}

class ProcDemoScenario : public testing::TestWithParam<const char*> {};

TEST_P(ProcDemoScenario, proves_what_it_shows_and_leaves_nobody) {
  expect_proved(run({GetParam()}));
  EXPECT_FALSE(has_children());
}

TEST_P(ProcDemoScenario, is_explained_by_help) {
  const Ran help = run({GetParam(), "--help"});
  EXPECT_EQ(help.status, ExitStatus::exited(0));
  for (const std::string word : {"--step", "--svg", "--json", "To remember:"}) {
    EXPECT_TRUE(contains(help.output, word)) << help.output;
  }
}

const std::vector<const char*> kScenarios{
    "zombie",      "orphan",    "wait",      "exit",   "fork-fd", "sigchld",    "signals",
    "double-fork", "subreaper", "pdeathsig", "states", "session", "exec",       "tree",
    "alarm",       "priority",  "fork-cow",  "daemon", "pool",    "supervisor", "matrix"};

INSTANTIATE_TEST_SUITE_P(ProcDemo, ProcDemoScenario, testing::ValuesIn(kScenarios),
                         [](const auto& name) {
                           std::string words = name.param;
                           std::ranges::replace(words, '-', '_');
                           return words;
                         });

TEST(ProcDemo, without_arguments_lists_the_scenarios) {
  const Ran listed = run({});
  EXPECT_EQ(listed.status, ExitStatus::exited(0));
  for (const std::string name : kScenarios) {
    EXPECT_TRUE(contains(listed.output, "\n  " + name + " ")) << name;
  }
  EXPECT_EQ(run({"--help"}).output, listed.output);
  EXPECT_TRUE(run({"--version"}).output.starts_with("proc-demo "));
}

TEST(ProcDemo, refuses_wrong_usage_in_one_line) {
  for (const std::vector<std::string>& wrong :
       {std::vector<std::string>{"bogus"}, {"zombie", "stray"}, {"zombie", "--svg"}}) {
    const Ran refused = run(wrong);
    EXPECT_EQ(refused.status, ExitStatus::exited(2)) << refused.status.text();
    EXPECT_EQ(refused.output, "");
    EXPECT_TRUE(refused.errors.starts_with("proc-demo: ")) << refused.errors;
    EXPECT_EQ(std::ranges::count(refused.errors, '\n'), 1) << refused.errors;
  }
}

TEST(ProcDemo, draws_and_keeps_what_happened_and_shows_it_again) {
  const TempDir folder;
  const std::string svg = folder.path() / "zombie.svg";
  const std::string json = folder.path() / "zombie.json";
  const Ran played = run({"zombie", "--svg", svg, "--json", json});
  expect_proved(played);
  const std::string picture = read_file(svg);
  EXPECT_TRUE(picture.starts_with("<svg ")) << picture;
  EXPECT_TRUE(picture.ends_with("</svg>\n"));
  EXPECT_TRUE(contains(picture, "class=\"zombie\"")) << picture;

  const auto recording = nlohmann::json::parse(read_file(json));
  EXPECT_EQ(recording.at("scenario"), "zombie");
  std::vector<std::string> kinds;
  for (const auto& event : recording.at("events")) kinds.push_back(event.at("kind"));
  EXPECT_EQ(kinds.front(), "fork");
  EXPECT_TRUE(std::ranges::find(kinds, "wait") != kinds.end());

  const Ran again = run({"--replay", json});
  EXPECT_EQ(again.status, ExitStatus::exited(0)) << again.errors;
  EXPECT_EQ(again.output, played.output);
}

TEST(ProcDemo, fails_where_what_was_observed_is_not_what_was_expected) {
  const TempDir folder;
  const std::string json = folder.path() / "zombie.json";
  run({"zombie", "--json", json});
  auto recording = nlohmann::json::parse(read_file(json));
  for (auto& event : recording.at("events")) {
    if (event.at("kind") == "proof") event.at("observed") = "something else";
  }
  std::ofstream{json} << recording;
  const Ran again = run({"--replay", json});
  EXPECT_EQ(again.status, ExitStatus::exited(1));
  EXPECT_TRUE(contains(again.output, "\n  WRONG  ")) << again.output;
}

TEST(ProcDemo, says_what_it_cannot_replay_or_write) {
  const TempDir folder;
  const std::string file = folder.path() / "broken.json";
  std::ofstream{file} << "{\"scenario\": 1}";
  for (const std::string& path : {file, std::string{"/nowhere/x.json"}}) {
    const Ran refused = run({"--replay", path});
    EXPECT_EQ(refused.status, ExitStatus::exited(1));
    EXPECT_TRUE(contains(refused.errors, path)) << refused.errors;
  }
  EXPECT_TRUE(contains(run({"zombie", "--svg", "/nowhere/x.svg"}).errors, "/nowhere/x.svg"));
}

TEST(ProcDemo, goes_on_at_each_line_when_it_steps) {
  auto process =
      Process::spawn(command({"orphan", "--step"}),
                     {.die_with_parent = true,
                      .redirections = {Redirection::pipe_to(0), Redirection::pipe_from(1)}});
  std::string output;
  const auto read_some = [&] {
    std::vector<char> buffer(4096);
    const ssize_t n = ::read(process.pipe(1).fd(), buffer.data(), buffer.size());
    output.append(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    return n > 0;
  };
  while (!contains(output, "forks parent")) ASSERT_TRUE(read_some());
  EXPECT_FALSE(contains(output, "forks child"));
  write_full(process.pipe(0).fd(), "\n", "pipe");
  while (!contains(output, "forks child")) ASSERT_TRUE(read_some());
  process.pipe(0).reset();  // at its end nothing is waited for any more
  while (read_some()) {
  }
  EXPECT_EQ(process.wait(), ExitStatus::exited(0)) << output;
}

TEST(ProcDemo, that_is_told_to_end_or_is_killed_leaves_nobody) {
  for (const int signal : {SIGTERM, SIGKILL}) {
    auto process =
        Process::spawn(command({"orphan", "--step"}),
                       {.die_with_parent = true,
                        .redirections = {Redirection::pipe_to(0), Redirection::pipe_from(1)}});
    std::vector<char> buffer(4096);
    ASSERT_GT(::read(process.pipe(1).fd(), buffer.data(), buffer.size()), 0);
    process.signal(signal);
    const ExitStatus status = process.wait();
    EXPECT_TRUE(status == ExitStatus::exited(128 + signal) ||
                status == ExitStatus::signaled(signal))
        << status.text();
    EXPECT_TRUE(await_no_children());  // they were orphans when they died
  }
}

TEST(ProcDemoInspect, tells_of_a_zombie_and_who_must_wait_for_it) {
  auto zombie = Process::fork([] { return 0; }, {.name = "zombie"});
  while (zombie.is_running()) wait_ready(zombie.fd(), POLLIN, Deadline::never());
  const Ran one = run({"inspect", std::to_string(zombie.pid())});
  EXPECT_EQ(one.status, ExitStatus::exited(0)) << one.errors;
  EXPECT_TRUE(contains(one.output, "\n    Z    zombie: ")) << one.output;
  const std::string parent = "who must wait for it   " + std::to_string(::getpid()) + " (";
  EXPECT_TRUE(contains(one.output, parent)) << one.output;
  const Ran all = run({"inspect"});
  EXPECT_EQ(all.status, ExitStatus::exited(0)) << all.errors;
  EXPECT_TRUE(contains(all.output, "\n  " + std::to_string(zombie.pid()) + " (zombie), started "))
      << all.output;
  EXPECT_TRUE(contains(all.output, parent)) << all.output;
  EXPECT_TRUE(contains(all.output, "\nOrphans: ")) << all.output;
  zombie.wait();
}

TEST(ProcDemoInspect, explains_the_letters_of_a_state) {
  auto nice = Process::fork(
      [] {
        ::pause();
        return 0;
      },
      {.name = "nice", .process_group = proc::ProcessGroup::session, .nice = 5});
  const Ran one = run({"inspect", std::to_string(nice.pid())});
  EXPECT_EQ(one.status, ExitStatus::exited(0)) << one.errors;
  EXPECT_TRUE(contains(one.output, "\n    N    gives way")) << one.output;
  EXPECT_TRUE(contains(one.output, "\n    s    leads a session")) << one.output;
}

TEST(ProcDemoInspect, says_that_there_is_no_such_process) {
  const Ran none = run({"inspect", "2147483647"});
  EXPECT_EQ(none.status, ExitStatus::exited(1));
  EXPECT_EQ(none.errors, "proc-demo: there is no process 2147483647\n");
  EXPECT_EQ(run({"inspect", "nobody"}).status, ExitStatus::exited(2));
}

}  // namespace
}  // namespace procpool::test
