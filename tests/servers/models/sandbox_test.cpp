// What a worker in its sandbox can do, and what becomes of one that tries more.
#include "servers/models/sandbox.hpp"

#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>

#include <gtest/gtest.h>

#include "ipc/base/io.hpp"
#include "ipc/mutex.hpp"
#include "ipc/shared.hpp"
#include "servers/models/crash_report.hpp"
#include "servers/models/error_log.hpp"
#include "servers/net/listener.hpp"
#include "tests/servers/models/line_server.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::models {
namespace {

using test::Client;
using test::eventually;
using test::exited;
using test::Forked;
using test::killed_by;
using test::Server;

class Sandbox : public testing::Test {
 protected:
  void SetUp() override {
    if (!sandbox_is_available()) GTEST_SKIP() << "this build or this kernel has no sandbox";
  }
};

void trace() {
  ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
}

TEST_F(Sandbox, ends_whoever_leaves_it) {
  char* const no_arguments[] = {nullptr};
  const std::pair<const char*, std::function<void()>> attempts[] = {
      {"trace", trace},
      {"make a socket", [] { ::socket(AF_PACKET, SOCK_RAW, 0); }},
      {"make another one", [] { ::socket(AF_INET, SOCK_STREAM, 0); }},
      {"fork",
       [] {
         if (::fork() == 0) ::_exit(0);
       }},
      {"run a program", [&] { ::execve("/bin/true", no_arguments, no_arguments); }},
      {"mount", [] { ::mount("none", "/", "tmpfs", 0, nullptr); }},
      {"signal another process", [] { ::kill(::getppid(), SIGCONT); }},
      {"signal another thread", [] { ::syscall(SYS_tgkill, 1, 1, 0); }},
      {"be another user", [] { std::ignore = ::setuid(0); }},
      {"map a program",
       [] { std::ignore = ::mmap(nullptr, 1, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }},
      {"raise a limit",
       [] {
         const rlimit64 limit{1000, 1000};
         ::syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, nullptr);
       }},
      {"open a new address space", [] { ::syscall(SYS_unshare, 0); }},
  };
  for (const auto& [what, attempt] : attempts) {
    Forked child{[&attempt = attempt] {
      SandboxFilter{SandboxFor::worker}.enter();
      attempt();
    }};
    EXPECT_EQ(child.wait(), killed_by(SIGSYS)) << what;
  }
}

TEST_F(Sandbox, of_a_session_ends_whoever_leaves_it) {
  char* const no_arguments[] = {nullptr};
  const std::pair<const char*, std::function<void()>> attempts[] = {
      {"trace", trace},
      {"make a socket of another family", [] { ::socket(AF_UNIX, SOCK_STREAM, 0); }},
      {"make a raw one", [] { ::socket(AF_INET, SOCK_RAW, IPPROTO_TCP); }},
      {"make one for datagrams", [] { ::socket(AF_INET6, SOCK_DGRAM, 0); }},
      {"fork",
       [] {
         if (::fork() == 0) ::_exit(0);
       }},
      {"run a program", [&] { ::execve("/bin/true", no_arguments, no_arguments); }},
      {"signal another process", [] { ::kill(::getppid(), SIGCONT); }},
      {"give a file away", [] { std::ignore = ::chown("/", 0, 0); }},
  };
  for (const auto& [what, attempt] : attempts) {
    Forked child{[&attempt = attempt] {
      SandboxFilter{SandboxFor::session}.enter();
      attempt();
    }};
    EXPECT_EQ(child.wait(), killed_by(SIGSYS)) << what;
  }
}

TEST_F(Sandbox, lets_a_lock_of_the_dead_be_taken_over) {
  const ipc::Shared<ipc::Mutex> mutex;
  Forked owner{[&] { mutex->lock(); }};
  EXPECT_EQ(owner.wait(), exited(0));
  Forked child{[&] {
    SandboxFilter{SandboxFor::worker}.enter();
    mutex->lock();
    EXPECT_TRUE(mutex->took_over());
    mutex->unlock();
  }};
  EXPECT_EQ(child.wait(), exited(0));
}

TEST_F(Sandbox, is_compiled_once_for_many) {
  const SandboxFilter filter{SandboxFor::worker};
  for (int i = 0; i < 2; ++i) {
    Forked leaving{[&] {
      filter.enter();
      ::syscall(SYS_tgkill, ::getppid(), ::getppid(), 0);
    }};
    EXPECT_EQ(leaving.wait(), killed_by(SIGSYS));
    Forked aborting{[&] {
      filter.enter();
      std::abort();
    }};
    EXPECT_EQ(aborting.wait(), killed_by(SIGABRT));
  }
}

TEST_F(Sandbox, of_a_session_lets_it_connect_and_listen) {
  Forked child{[] {
    SandboxFilter{SandboxFor::session}.enter();
    for (const char* address : {"127.0.0.1:0", "[::1]:0"}) {
      net::Listener listener = net::Listener::open(net::Address::parse(address));
      const Client client{listener.address()};
      EXPECT_TRUE(
          eventually([&] { return std::holds_alternative<UniqueFd>(listener.try_accept()); }));
    }
  }};
  EXPECT_EQ(child.wait(), exited(0));
}

TEST_F(Sandbox, lets_files_and_connections_be_used) {
  const test::TempDir folder;
  std::ofstream{folder.path() / "file"} << "text";
  Forked child{[&] {
    net::Listener listener = net::Listener::open(net::Address::parse("127.0.0.1:0"));
    const Client client{listener.address()};
    SandboxFilter{SandboxFor::worker}.enter();
    EXPECT_EQ(read_file(folder.path() / "file"), "text");
    std::ofstream{folder.path() / "other"} << std::string(1'000'000, 'x');
    EXPECT_TRUE(
        eventually([&] { return std::holds_alternative<UniqueFd>(listener.try_accept()); }));
    EXPECT_NE(std::getenv("PATH"), nullptr);
    Loop loop;
    bool called = false;
    Loop::Timer timer{loop, [&] { called = true; }};
    timer.set(Deadline::now());
    while (!called) loop.run_once(Deadline::never());
  }};
  EXPECT_EQ(child.wait(), exited(0));
}

TEST_F(Sandbox, lets_a_process_say_where_it_was_aborted) {
  const test::TempDir folder;
  const std::string log = folder.path() / "log";
  Forked child{[&] {
    const CrashReport report{open_error_log(log)};
    SandboxFilter{SandboxFor::worker}.enter();
    std::abort();
  }};
  EXPECT_EQ(child.wait(), killed_by(SIGABRT));
  EXPECT_NE(read_file(log).find("process " + std::to_string(child.pid()) + " was aborted at:\n"),
            std::string::npos)
      << read_file(log);
}

// Answers with its number, or leaves the sandbox.
net::Task<> answer_or_trace(Worker& worker, net::Stream stream) {
  std::array<char, 16> buffer{};
  const auto got = co_await stream.read_some(buffer, Deadline::in(test::kIdle));
  if (std::string_view{buffer.data(), got.bytes} == "trace\n") trace();
  const std::string answer = std::to_string(::getpid()) + "\n";
  co_await stream.write(answer, Deadline::in(test::kIdle));
  worker.slot().count_request(answer.size(), {});
}

TEST_F(Sandbox, of_a_worker_is_left_at_its_end_and_another_one_serves) {
  const Server server{{.workers = 1,
                       .sandbox = std::make_shared<SandboxFilter>(SandboxFor::worker),
                       .make_handler = [](Worker& worker) {
                         return [&worker](net::Stream stream) {
                           return answer_or_trace(worker, std::move(stream));
                         };
                       }}};
  const auto victim = Client{server.address()}.ask();
  ASSERT_TRUE(victim);
  Client tracing{server.address()};
  tracing.send("trace\n");
  EXPECT_TRUE(tracing.ended());
  const auto next = Client{server.address()}.ask();
  EXPECT_TRUE(next);
  EXPECT_NE(next, victim);
  EXPECT_TRUE(server.logs("process " + std::to_string(*victim) + " made the system call " +
                          std::to_string(SYS_ptrace) + ", which it may not, at:\n"))
      << server.log_text();
  EXPECT_TRUE(server.logs("killed by SIGSYS"));
}

}  // namespace
}  // namespace procpool::models
