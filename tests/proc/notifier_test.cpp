#include "proc/notifier.hpp"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "proc/process.hpp"
#include "tests/proc/telling.hpp"
#include "tests/support/service_manager.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::proc {
namespace {

using namespace std::chrono_literals;
using Manager = test::ServiceManager;

std::string abstract_name() {
  return "@procpool-test-" + std::to_string(::getpid());
}

TEST(Notifier, tells_a_manager_at_a_path_or_an_abstract_name) {
  const test::TempDir dir;
  for (const std::string& address : {(dir.path() / "notify").string(), abstract_name()}) {
    Manager manager{address};
    Notifier notifier{manager.address()};
    EXPECT_TRUE(notifier.ready());
    EXPECT_EQ(manager.hears(), "READY=1");
    EXPECT_TRUE(notifier.ready("4 workers"));
    EXPECT_EQ(manager.hears(), "READY=1\nSTATUS=4 workers");
    EXPECT_TRUE(notifier.stopping("draining"));
    EXPECT_EQ(manager.hears(), "STOPPING=1\nSTATUS=draining");
    EXPECT_TRUE(notifier.status("idle"));
    EXPECT_EQ(manager.hears(), "STATUS=idle");
    EXPECT_TRUE(notifier.status(""));
    EXPECT_EQ(manager.hears(), "STATUS=");
    EXPECT_TRUE(notifier.main_process(4711));
    EXPECT_EQ(manager.hears(), "MAINPID=4711");
    EXPECT_TRUE(notifier.keep_alive());
    EXPECT_EQ(manager.hears(), "WATCHDOG=1");
    EXPECT_TRUE(notifier.trigger_watchdog());
    EXPECT_EQ(manager.hears(), "WATCHDOG=trigger");
  }
}

TEST(Notifier, says_when_a_reload_began) {
  Manager manager{abstract_name()};
  const auto now = [] {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1'000'000 + time.tv_nsec / 1'000;
  };
  const auto before = now();
  EXPECT_TRUE(Notifier{manager.address()}.reloading());
  const std::string text = manager.hears();
  const std::string head = "RELOADING=1\nMONOTONIC_USEC=";
  ASSERT_TRUE(text.starts_with(head)) << text;
  const auto told = std::stoll(text.substr(head.size()));
  EXPECT_GE(told, before);
  EXPECT_LE(told, now());
}

TEST(Notifier, is_taken_out_of_the_environment) {
  Manager manager{abstract_name()};
  Process child = Process::fork(
      [] {
        Notifier notifier = Notifier::from_environment();
        if (notifier.watchdog_interval() != 3s) return 1;
        if (std::getenv("NOTIFY_SOCKET") || std::getenv("WATCHDOG_USEC")) return 2;
        if (Notifier::from_environment().listening()) return 3;
        return notifier.ready() ? 0 : 4;
      },
      {.environment = {{"NOTIFY_SOCKET=" + manager.address(), "WATCHDOG_USEC=3000000"}}});
  EXPECT_EQ(child.wait(), ExitStatus::exited(0));
  EXPECT_EQ(manager.hears(), "READY=1");
}

TEST(Notifier, is_watched_only_if_the_watchdog_means_this_process) {
  const auto watched = [](const std::string& pid) {
    ::setenv("NOTIFY_SOCKET", "/no/such", 1);
    ::setenv("WATCHDOG_USEC", "1000", 1);
    ::setenv("WATCHDOG_PID", pid.c_str(), 1);
    return Notifier::from_environment().watchdog_interval();
  };
  EXPECT_EQ(watched(std::to_string(::getpid())), 1ms);
  EXPECT_EQ(watched(std::to_string(::getpid() + 1)), std::nullopt);
  EXPECT_EQ(std::getenv("WATCHDOG_PID"), nullptr);
}

TEST(Notifier, tells_nobody_when_there_is_no_manager) {
  Notifier nobody = Notifier::from_environment();
  EXPECT_FALSE(nobody.listening());
  EXPECT_FALSE(nobody.ready());
  EXPECT_EQ(nobody.watchdog_interval(), std::nullopt);
  EXPECT_FALSE(Notifier{"/no/such/socket"}.ready());
  EXPECT_FALSE(Notifier{"@procpool-test-nobody"}.ready());
}

TEST(Notifier, refuses_what_is_no_address_and_no_time) {
  for (const std::string address : {"relative", "@", "/", "vsock:2:1234", ""}) {
    EXPECT_EQ(error_of([&] { Notifier{address}; }),
              (address.empty() ? "notify" : "notify \"" + address + "\"") +
                  ": is neither a path nor an abstract name");
  }
  EXPECT_NE(error_of([] { Notifier{"/" + std::string(107, 'x')}; }).find("too long"),
            std::string::npos);
  EXPECT_EQ(error_of([] { Notifier{"@" + std::string(107, 'x')}; }), "no error");
  for (const char* time : {"0", "-1", "soon", "99999999999999999999"}) {
    ::setenv("WATCHDOG_USEC", time, 1);
    EXPECT_THROW(Notifier::from_environment(), Error) << time;
  }
}

TEST(Notifier, lets_no_status_say_more_than_a_status) {
  EXPECT_EQ(error_of([] { Notifier{}.status("idle\nREADY=1"); }),
            "notify \"idle\nREADY=1\": a status is one line");
}

}  // namespace
}  // namespace procpool::proc
