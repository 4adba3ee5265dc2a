// The program ipc-demo, as somebody would try it.
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/event.hpp"
#include "ipc/shared.hpp"
#include "proc/process.hpp"
#include "tests/support/children.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/shared_name.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/tools/tool.hpp"

namespace procpool::test {
namespace {

using proc::ExitStatus;
using proc::Process;
using proc::Redirection;

std::vector<std::string> command(const std::vector<std::string>& arguments) {
  return command_of(PROCPOOL_IPC_DEMO, arguments);
}

Ran run(const std::vector<std::string>& arguments) {
  return run_tool(PROCPOOL_IPC_DEMO, arguments);
}

// Whatever a scenario may give a name to, it is called so.
std::string name_of_run(pid_t pid) {
  return "ipc-demo." + std::to_string(pid);
}

void expect_nothing_left(pid_t pid) {
  for (const auto& file : std::filesystem::directory_iterator{"/dev/shm"}) {
    EXPECT_FALSE(contains(file.path().filename(), name_of_run(pid))) << file.path();
  }
  EXPECT_EQ(::mq_open(("/" + name_of_run(pid)).c_str(), O_RDONLY | O_CLOEXEC), -1);
}

// The times of what happened, in the order of the lines.
std::vector<double> times_in(const std::string& output) {
  std::vector<double> times;
  for (const std::string& line : lines_of(output)) {
    std::istringstream fields{line};
    double time = 0;
    pid_t pid = 0;
    if (fields >> time >> pid) times.push_back(time);
  }
  return times;
}

void expect_proved(const Ran& run) {
  EXPECT_EQ(run.status, ExitStatus::exited(0)) << run.status.text() << run.output << run.errors;
  EXPECT_EQ(run.errors, "");
  EXPECT_TRUE(contains(run.output, "\nProof\n")) << run.output;
  EXPECT_TRUE(contains(run.output, "\n  ok  ")) << run.output;
  EXPECT_FALSE(contains(run.output, "WRONG")) << run.output;
  EXPECT_TRUE(contains(run.output, "\nWhen to use it\n")) << run.output;
  EXPECT_FALSE(contains(run.output, "\x1b")) << run.output;
  const auto times = times_in(run.output);
  EXPECT_GE(times.size(), 3u) << run.output;
  EXPECT_TRUE(std::ranges::is_sorted(times)) << run.output;
  expect_nothing_left(run.pid);
}

class Scenario : public testing::TestWithParam<const char*> {};

TEST_P(Scenario, proves_what_it_shows) {
  expect_proved(run({GetParam()}));
}

TEST_P(Scenario, goes_on_when_somebody_is_killed) {
  const Ran killed = run({GetParam(), "--kill"});
  expect_proved(killed);
  EXPECT_TRUE(contains(killed.output, "SIGKILL to ")) << killed.output;
  EXPECT_TRUE(contains(killed.output, "after the")) << killed.output;
}

TEST_P(Scenario, is_explained_by_help) {
  const Ran help = run({GetParam(), "--help"});
  EXPECT_EQ(help.status, ExitStatus::exited(0));
  for (const std::string word : {"--kill", "--bench", "When to use it:", "Usage: ipc-demo "}) {
    EXPECT_TRUE(contains(help.output, word)) << help.output;
  }
}

INSTANTIATE_TEST_SUITE_P(IpcDemo, Scenario,
                         testing::Values("pipe", "fifo", "channel", "queue", "broadcast", "mq",
                                         "shm", "heap", "mutex", "semaphore", "event", "condition",
                                         "barrier", "signal"),
                         [](const auto& name) { return std::string{name.param}; });

TEST(IpcDemo, without_arguments_lists_the_scenarios) {
  const Ran listed = run({});
  EXPECT_EQ(listed.status, ExitStatus::exited(0));
  for (const std::string name :
       {"pipe", "fifo", "channel", "queue", "broadcast", "mq", "shm", "heap", "mutex", "semaphore",
        "event", "condition", "barrier", "signal", "compare", "ls", "rm"}) {
    EXPECT_TRUE(contains(listed.output, "\n  " + name + " ")) << name;
  }
  EXPECT_EQ(run({"--help"}).output, listed.output);
  EXPECT_TRUE(run({"--version"}).output.starts_with("ipc-demo "));
}

TEST(IpcDemo, refuses_wrong_usage_in_one_line) {
  const auto expect_refusal = [](const std::vector<std::string>& arguments,
                                 const std::string& word) {
    const Ran refused = run(arguments);
    EXPECT_EQ(refused.status, ExitStatus::exited(2)) << refused.status.text();
    EXPECT_EQ(refused.output, "");
    EXPECT_TRUE(refused.errors.starts_with("ipc-demo: ")) << refused.errors;
    EXPECT_EQ(lines_of(refused.errors).size(), 1u) << refused.errors;
    EXPECT_TRUE(contains(refused.errors, word)) << refused.errors;
  };
  expect_refusal({"bogus"}, "bogus");
  expect_refusal({"pipe", "stray"}, "stray");
  expect_refusal({"pipe", "--bogus"}, "--bogus");
  expect_refusal({"pipe", "--kill", "--bench"}, "--bench");
  expect_refusal({"compare", "--seconds", "soon"}, "soon");
  expect_refusal({"compare", "--svg"}, "--svg");
  expect_refusal({"rm"}, "--dead");
}

TEST(IpcDemo, measures_beside_what_it_is_compared_with) {
  const Ran measured = run({"mutex", "--bench"});
  EXPECT_EQ(measured.status, ExitStatus::exited(0)) << measured.errors;
  EXPECT_TRUE(contains(measured.output, "ns each")) << measured.output;
  EXPECT_TRUE(contains(measured.output, "pthread_mutex_t")) << measured.output;
}

TEST(IpcDemo, compares_everything_in_a_table_and_a_chart) {
  const TempDir folder;
  const std::string svg = folder.path() / "chart.svg";
  const Ran compared = run({"compare", "--seconds", "0.5", "--svg", svg});
  EXPECT_EQ(compared.status, ExitStatus::exited(0)) << compared.errors;
  const std::string chart = read_file(svg);
  EXPECT_TRUE(chart.starts_with("<svg ")) << chart;
  EXPECT_TRUE(chart.ends_with("</svg>\n"));
  EXPECT_FALSE(contains(chart, "nan"));
  for (const std::string name : {"Queue", "Broadcast", "Channel", "Pipe", "Fifo", "MessageQueue",
                                 "Boost message_queue", "Unix socket", "POSIX mq"}) {
    EXPECT_TRUE(contains(compared.output, "\n  " + name)) << compared.output;
    EXPECT_TRUE(contains(chart, ">" + name)) << name;
  }
}

TEST(IpcDemo, says_where_it_cannot_draw) {
  const Ran refused = run({"compare", "--svg", "/nowhere/chart.svg"});
  EXPECT_EQ(refused.status, ExitStatus::exited(1));
  EXPECT_TRUE(contains(refused.errors, "/nowhere/chart.svg")) << refused.errors;
}

// What it writes when its standard output is a terminal.
std::string on_terminal(const std::vector<std::string>& environment) {
  const UniqueFd master{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
  if (!master.valid() || ::grantpt(master.fd()) < 0 || ::unlockpt(master.fd()) < 0) {
    throw_errno("posix_openpt");
  }
  UniqueFd terminal{::open(::ptsname(master.fd()), O_RDWR | O_NOCTTY | O_CLOEXEC)};
  if (!terminal.valid()) throw_errno("open", "terminal");
  auto process =
      Process::spawn(command({"event"}), {.die_with_parent = true,
                                          .redirections = {Redirection::fd(1, terminal.fd())},
                                          .environment = environment});
  terminal.reset();
  std::string output;
  std::vector<char> buffer(4096);
  for (;;) {  // EIO: nobody has the terminal any more, pty(7)
    const ssize_t n =
        retry_eintr([&] { return ::read(master.fd(), buffer.data(), buffer.size()); });
    if (n <= 0) break;
    output.append(buffer.data(), static_cast<std::size_t>(n));
  }
  process.wait();
  return output;
}

TEST(IpcDemo, gives_each_process_a_colour_on_a_terminal) {
  EXPECT_TRUE(contains(on_terminal({"TERM=xterm"}), "\x1b[36m"));
  EXPECT_FALSE(contains(on_terminal({"TERM=xterm", "NO_COLOR=1"}), "\x1b["));
}

TEST(IpcDemo, that_is_told_to_end_leaves_nothing) {
  for (const char* scenario : {"mq", "fifo", "shm", "queue"}) {
    auto process =
        Process::spawn(command({scenario, "--kill"}),
                       {.die_with_parent = true, .redirections = {Redirection::pipe_from(1)}});
    std::vector<char> buffer(4096);
    std::string output;
    while (std::ranges::count(output, '\n') < 4) {  // it is in the middle of it
      const ssize_t n = ::read(process.pipe(1).fd(), buffer.data(), buffer.size());
      ASSERT_GT(n, 0);
      output.append(buffer.data(), static_cast<std::size_t>(n));
    }
    process.signal(SIGTERM);
    const pid_t pid = process.pid();
    const ExitStatus status = process.wait();
    EXPECT_TRUE(await_no_children());  // they were orphans when they died
    EXPECT_TRUE(status == ExitStatus::exited(128 + SIGTERM) || status.success()) << status.text();
    expect_nothing_left(pid);
  }
}

TEST(IpcDemo, ends_when_nobody_reads) {
  auto process = Process::spawn(
      command({"queue"}),
      {.die_with_parent = true, .redirections = {Redirection::pipe_from(1), Redirection::null(2)}});
  process.pipe(1).reset();
  const pid_t pid = process.pid();
  EXPECT_EQ(process.wait(), ExitStatus::exited(1));
  EXPECT_TRUE(await_no_children());  // they were orphans when they died
  expect_nothing_left(pid);
}

// The line of a segment in what ls prints; empty: it is not there.
std::string line_of(const std::string& name) {
  const Ran listed = run({"ls"});
  EXPECT_EQ(listed.status, ExitStatus::exited(0)) << listed.errors;
  for (const std::string& line : lines_of(listed.output)) {
    if (line.starts_with("  " + name + " ")) return line;
  }
  return {};
}

TEST(IpcDemoLs, tells_who_uses_a_segment_and_who_waits_in_it) {
  const std::string name = shared_name("waited-for");
  auto event = std::optional{ipc::Shared<ipc::Event>::open(name)};
  const std::string mine = std::to_string(::getpid());
  EXPECT_TRUE(contains(line_of(name), "in use")) << line_of(name);
  EXPECT_TRUE(contains(line_of(name), mine)) << line_of(name);

  const Forked waiter{[&] { (*event)->wait(); }};
  const std::string waiting = std::to_string(waiter.pid());
  EXPECT_TRUE(eventually([&] { return line_of(name).ends_with(" " + waiting); })) << line_of(name);
}

TEST(IpcDemoRm, removes_what_is_dead_and_nothing_else) {
  const std::string live = shared_name("live");
  const std::string dead = shared_name("dead");
  const auto event = ipc::Shared<ipc::Event>::open(live);
  Gate made;
  Forked victim{[&] {
    const auto other = ipc::Shared<ipc::Event>::open(dead);
    made.open();
    ::pause();
  }};
  made.wait();
  victim.kill(SIGKILL);
  victim.wait();
  EXPECT_TRUE(contains(line_of(dead), "dead")) << line_of(dead);

  const Ran refused = run({"rm", live});
  EXPECT_EQ(refused.status, ExitStatus::exited(1));
  EXPECT_TRUE(contains(refused.errors, live + " is in use")) << refused.errors;

  const Ran removed = run({"rm", dead});
  EXPECT_EQ(removed.status, ExitStatus::exited(0)) << removed.errors;
  EXPECT_EQ(line_of(dead), "");
  EXPECT_NE(line_of(live), "");

  const Ran none = run({"rm", dead});
  EXPECT_EQ(none.status, ExitStatus::exited(1));
  EXPECT_TRUE(contains(none.errors, "No such file or directory")) << none.errors;
}

}  // namespace
}  // namespace procpool::test
