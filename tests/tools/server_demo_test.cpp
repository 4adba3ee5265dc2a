// The program server-demo, as somebody would try it.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/deadline.hpp"
#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "proc/process.hpp"
#include "servers/net/address.hpp"
#include "servers/net/connect.hpp"
#include "tests/support/children.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/tools/tool.hpp"

namespace procpool::test {
namespace {

using net::Address;
using proc::ExitStatus;
using proc::Process;
using proc::Redirection;

std::vector<std::string> command(const std::vector<std::string>& arguments) {
  return command_of(PROCPOOL_SERVER_DEMO, arguments);
}

Ran run(const std::vector<std::string>& arguments) {
  return run_tool(PROCPOOL_SERVER_DEMO, arguments);
}

void expect_nothing_left(pid_t pid) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("server-demo." + std::to_string(pid));
  EXPECT_FALSE(std::filesystem::exists(folder)) << folder;
}

void expect_proved(const Ran& run) {
  EXPECT_EQ(run.status, ExitStatus::exited(0)) << run.status.text() << run.output << run.errors;
  EXPECT_EQ(run.errors, "");
  EXPECT_TRUE(contains(run.output, "\n  ok  ")) << run.output;
  EXPECT_FALSE(contains(run.output, "WRONG")) << run.output;
  EXPECT_TRUE(contains(run.output, "\nWhat to remember\n")) << run.output;
  EXPECT_FALSE(contains(run.output, "\x1b")) << run.output;
  expect_nothing_left(run.pid);
}

struct Shown {
  std::string name;
  std::vector<std::string> words;  // the failure, and the cure
};

void PrintTo(const Shown& shown, std::ostream* out) {
  *out << shown.name;
}

class Demonstration : public testing::TestWithParam<Shown> {};

TEST_P(Demonstration, shows_the_failure_and_its_cure_and_proves_both) {
  const Ran ran = run({GetParam().name});
  expect_proved(ran);
  for (const std::string& words : GetParam().words) {
    EXPECT_TRUE(contains(ran.output, words)) << words << "\n" << ran.output;
  }
}

TEST_P(Demonstration, is_explained_by_help) {
  const Ran help = run({GetParam().name, "--help"});
  EXPECT_EQ(help.status, ExitStatus::exited(0));
  EXPECT_TRUE(contains(help.output, "What to remember:")) << help.output;
}

INSTANTIATE_TEST_SUITE_P(
    ServerDemo, Demonstration,
    testing::Values(
        Shown{"framing",
              {"gets \"redgreenblue\"", "reads \"gre\"", "a delimiter", "a length before it",
               "records of 8 bytes", "longer than allowed"}},
        Shown{"buffers",
              {"Resource temporarily unavailable", "3, 0, 0", "killed by SIGPIPE", "Broken pipe",
               "POLLPRI"}},
        Shown{"tcp",
              {"SYN_SENT", "CLOSE_WAIT", "FIN_WAIT2", "TIME_WAIT", "Address already in use",
               "SO_REUSEADDR", "Connection reset by peer", "Ethernet 14 + IP 20 + TCP "}},
        Shown{"udp",
              {"[red][green][]", "Message too long", "MSG_TRUNC", "are lost", "acknowledged",
               "Connection refused"}},
        Shown{"broadcast", {"Permission denied", "SO_BROADCAST", "\"to all\"", "\"to the group\""}},
        Shown{"unix",
              {"asks the kernel who that is", "sends the descriptor", "Connection refused",
               "Address already in use", "removes the name"}},
        Shown{"sockets",
              {"abcdef", "ab, then def", "nothing, for ever", "Operation not permitted"}},
        Shown{"names", {"127.0.0.1:80", "[::1]:80", "no-such-host.invalid", "1f 90", "36895"}}),
    [](const auto& shown) { return shown.param.name; });

class IoModel : public testing::TestWithParam<const char*> {};

TEST_P(IoModel, serves_three_clients_and_counts_its_system_calls) {
  const Ran ran = run({"io", GetParam()});
  expect_proved(ran);
  EXPECT_TRUE(contains(ran.output, "How often the reader asked the kernel")) << ran.output;
}

INSTANTIATE_TEST_SUITE_P(ServerDemo, IoModel,
                         testing::Values("blocking", "nonblocking", "timeout", "select", "poll",
                                         "epoll", "epoll-et", "coroutine"),
                         [](const auto& model) {
                           std::string name = model.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

TEST(ServerDemoIo, shows_that_an_early_end_of_reading_loses_what_edges_do_not_tell_of) {
  const Ran ran = run({"io", "epoll-et"});
  EXPECT_TRUE(contains(ran.output, "epoll tells of 0")) << ran.output;
  EXPECT_TRUE(contains(ran.output, "gets no answer")) << ran.output;
}

TEST(ServerDemoIo, puts_all_models_side_by_side) {
  const Ran ran = run({"io"});
  expect_proved(ran);
  for (const std::string row : {"blocking     ", "nonblocking  ", "timeout  ", "select  ", "poll  ",
                                "epoll  ", "epoll-et  ", "coroutine  ", "epoll-et, one read  "}) {
    EXPECT_TRUE(contains(ran.output, "\n  " + row)) << row << "\n" << ran.output;
  }
  EXPECT_TRUE(contains(ran.output, "for ever")) << ran.output;
}

TEST(ServerDemo, without_arguments_lists_the_demonstrations) {
  const Ran listed = run({});
  EXPECT_EQ(listed.status, ExitStatus::exited(0));
  for (const std::string name : {"io", "framing", "buffers", "tcp", "udp", "broadcast", "unix",
                                 "sockets", "names", "recorder"}) {
    EXPECT_TRUE(contains(listed.output, "\n  " + name + " ")) << name;
  }
  EXPECT_EQ(run({"--help"}).output, listed.output);
}

TEST(ServerDemo, refuses_wrong_usage_in_one_line) {
  const auto expect_refusal = [](const std::vector<std::string>& arguments,
                                 const std::string& word) {
    const Ran refused = run(arguments);
    EXPECT_EQ(refused.status, ExitStatus::exited(2)) << refused.status.text();
    EXPECT_EQ(refused.output, "");
    EXPECT_TRUE(refused.errors.starts_with("server-demo: ")) << refused.errors;
    EXPECT_EQ(lines_of(refused.errors).size(), 1u) << refused.errors;
    EXPECT_TRUE(contains(refused.errors, word)) << refused.errors;
  };
  expect_refusal({"bogus"}, "bogus");
  expect_refusal({"io", "bogus"}, "bogus");
  expect_refusal({"udp", "stray"}, "stray");
  expect_refusal({"recorder", "--listen", "nowhere"}, "nowhere");
  expect_refusal({"recorder", "--file"}, "--file");
}

TEST(ServerDemo, that_is_told_to_end_leaves_nothing) {
  auto process = Process::spawn(
      command({"tcp"}), {.die_with_parent = true, .redirections = {Redirection::pipe_from(1)}});
  std::array<char, 4096> buffer;
  std::string output;
  while (!contains(output, "SYN_SENT")) {
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

// A recorder that runs, and what it says and writes.
class RecorderTest : public testing::Test {
 protected:
  void start(std::vector<Redirection> input) {
    input.push_back(Redirection::file(1, folder_.path() / "out"));
    input.push_back(Redirection::file(2, folder_.path() / "err"));
    process_.emplace(Process::spawn(command({"recorder", "--file", record_path()}),
                                    {.die_with_parent = true, .redirections = std::move(input)}));
    const std::string before = "listens on ";
    ASSERT_TRUE(eventually([&] { return contains(said(), "; type lines"); })) << said();
    const std::string words = said();
    const std::size_t start = words.find(before) + before.size();
    address_ = Address::parse(words.substr(start, words.find(';') - start));
  }

  void start_with_pipe() { start({Redirection::pipe_to(0)}); }

  UniqueFd client() const {
    auto made = net::connect(address_, Deadline::in(kPatience));
    EXPECT_FALSE(made.failed()) << error_text(made.error);
    return std::move(made.socket);
  }

  std::string record_path() const { return folder_.path() / "record.txt"; }
  std::string recorded() const { return read_file(record_path()); }
  std::string said() const { return read_file(folder_.path() / "out"); }
  bool await_recorded(const std::string& words) const {
    return eventually([&] { return contains(recorded(), words); });
  }
  Process& process() { return *process_; }

 private:
  TempDir folder_;
  std::optional<Process> process_;
  Address address_ = Address::parse("127.0.0.1:0");
};

TEST_F(RecorderTest, appends_what_clients_and_the_terminal_say_to_one_file) {
  start_with_pipe();
  const UniqueFd ada = client();
  const UniqueFd bob = client();
  write_full(bob.fd(), "from bob\n", "bob");
  ASSERT_TRUE(await_recorded(Address::local_of(bob.fd()).text() + " from bob\n")) << recorded();
  write_full(process().pipe(0).fd(), "from the keyboard\n", "input");
  ASSERT_TRUE(await_recorded("terminal from the keyboard\n")) << recorded();
  write_full(ada.fd(), "half a ", "ada");
  write_full(ada.fd(), "line\nand one more\n", "ada");
  const std::string who = Address::local_of(ada.fd()).text();
  ASSERT_TRUE(await_recorded(who + " half a line\n" + who + " and one more\n")) << recorded();
  write_full(process().pipe(0).fd(), "quit\n", "input");
  EXPECT_EQ(process().wait(), ExitStatus::exited(0));
  EXPECT_FALSE(contains(recorded(), "quit"));
}

TEST_F(RecorderTest, goes_on_when_clients_leave_in_any_way) {
  start_with_pipe();
  UniqueFd polite = client();
  write_full(polite.fd(), "last words", "client");
  polite.reset();
  EXPECT_TRUE(await_recorded("last words\n"));
  UniqueFd rude = client();
  const linger now{.l_onoff = 1, .l_linger = 0};
  ASSERT_EQ(::setsockopt(rude.fd(), SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
  rude.reset();
  const UniqueFd next = client();
  write_full(next.fd(), "still there\n", "client");
  EXPECT_TRUE(await_recorded("still there\n"));
  process().signal(SIGTERM);
  EXPECT_EQ(process().wait(), ExitStatus::exited(0));
}

TEST_F(RecorderTest, ends_at_the_end_of_its_input) {
  start_with_pipe();
  process().pipe(0).reset();
  EXPECT_EQ(process().wait(), ExitStatus::exited(0));
}

TEST_F(RecorderTest, sends_away_whose_line_is_too_long) {
  start_with_pipe();
  const UniqueFd boaster = client();
  write_full(boaster.fd(), std::string(8192, 'x'), "boaster");
  EXPECT_TRUE(eventually([&] { return contains(said(), "its line was too long"); })) << said();
  process().signal(SIGTERM);
  EXPECT_EQ(process().wait(), ExitStatus::exited(0));
}

TEST_F(RecorderTest, leaves_out_a_line_of_the_terminal_that_is_too_long) {
  start_with_pipe();
  write_full(process().pipe(0).fd(), "first\n" + std::string(4097, 'x') + "\nsecond\n", "input");
  EXPECT_TRUE(await_recorded("terminal first\nterminal second\n")) << recorded();
  write_full(process().pipe(0).fd(), std::string(20'000, 'x'), "input");
  write_full(process().pipe(0).fd(), "\nthird\n" + std::string(4096, 'y') + "\nquit\n", "input");
  EXPECT_EQ(process().wait(), ExitStatus::exited(0));
  EXPECT_TRUE(contains(recorded(), "second\nterminal third\nterminal yyyy")) << recorded();
  EXPECT_TRUE(contains(said(), "left out: a line has at most 4096 bytes")) << said();
}

TEST_F(RecorderTest, reads_a_terminal) {
  const UniqueFd master{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
  ASSERT_TRUE(master.valid() && ::grantpt(master.fd()) == 0 && ::unlockpt(master.fd()) == 0);
  const UniqueFd terminal{::open(::ptsname(master.fd()), O_RDWR | O_NOCTTY | O_CLOEXEC)};
  ASSERT_TRUE(terminal.valid());
  start({Redirection::fd(0, terminal.fd())});
  write_full(master.fd(), "typed here\n", "terminal");
  EXPECT_TRUE(await_recorded("terminal typed here\n"));
  write_full(master.fd(), "\x04", "terminal");  // control-D
  EXPECT_EQ(process().wait(), ExitStatus::exited(0));
}

// This process needs as many descriptors as the recorder has.
class ManyDescriptors {
 public:
  ManyDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit more = before_;
    more.rlim_cur = std::min<rlim_t>(more.rlim_max, FD_SETSIZE * 2);
    ::setrlimit(RLIMIT_NOFILE, &more);
    are_there_ = more.rlim_cur >= FD_SETSIZE * 2;
  }
  ManyDescriptors(const ManyDescriptors&) = delete;
  ManyDescriptors& operator=(const ManyDescriptors&) = delete;
  ~ManyDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  bool are_there() const { return are_there_; }

 private:
  rlimit before_{};
  bool are_there_ = false;
};

TEST_F(RecorderTest, tells_a_client_beyond_the_set_of_select_why_it_is_refused) {
  const ManyDescriptors descriptors;
  if (!descriptors.are_there()) GTEST_SKIP() << "RLIMIT_NOFILE allows too few";
  start_with_pipe();
  std::vector<UniqueFd> clients;
  while (clients.size() < FD_SETSIZE) clients.push_back(client());
  EXPECT_EQ(wait_ready(clients.back().fd(), POLLIN, Deadline::in(kPatience)), POLLIN);
  std::array<char, 256> buffer;
  const ssize_t n = ::recv(clients.back().fd(), buffer.data(), buffer.size(), 0);
  ASSERT_GT(n, 0);
  const std::string reason{buffer.data(), static_cast<std::size_t>(n)};
  EXPECT_EQ(reason, "no place: select(2) watches descriptors below 1024 only\n");

  write_full(clients.front().fd(), "the others are heard\n", "client");
  EXPECT_TRUE(await_recorded("the others are heard\n"));
  clients.erase(clients.begin() + 1);
  const auto is_admitted = [&] {
    clients.push_back(client());
    write_full(clients.back().fd(), "there is a place again\n", "client");
    return await_recorded("there is a place again\n");
  };
  EXPECT_TRUE(eventually([&] { return contains(said(), " has left\n"); }));
  EXPECT_TRUE(is_admitted());
  process().signal(SIGTERM);
  EXPECT_EQ(process().wait(), ExitStatus::exited(0));
}

}  // namespace
}  // namespace procpool::test
