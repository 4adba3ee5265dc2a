#include "proc/activation.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/pipe.hpp"
#include "proc/process.hpp"
#include "tests/proc/telling.hpp"

namespace procpool::proc {
namespace {

struct Variables {
  std::string count;
  std::string names{};
  std::string pid{};  // empty: the child's own
};

// What a child says that was given descriptors 3 and 4, and these variables.
std::string told_with(const Variables& variables) {
  return told_by_child(
      [&]() -> std::string {
        const auto pid = variables.pid.empty() ? std::to_string(::getpid()) : variables.pid;
        ::setenv("LISTEN_PID", pid.c_str(), 1);
        ::setenv("LISTEN_FDS", variables.count.c_str(), 1);
        if (!variables.names.empty()) ::setenv("LISTEN_FDNAMES", variables.names.c_str(), 1);
        std::string text;
        try {
          for (const ActivatedDescriptor& passed : take_activated_descriptors()) {
            const bool close_on_exec = (::fcntl(passed.fd.fd(), F_GETFD) & FD_CLOEXEC) != 0;
            text += std::to_string(passed.fd.fd()) + passed.name + (close_on_exec ? " " : "! ");
          }
        } catch (const Error& error) {
          text = error.what();
        }
        for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) {
          if (std::getenv(name) != nullptr) text += name;
        }
        return text;
      },
      {.redirections = {Redirection::null(3), Redirection::null(4)}, .keep_only = {{}}});
}

TEST(Activation, takes_the_descriptors_with_their_names) {
  EXPECT_EQ(told_with({.count = "2", .names = "http:https"}), "3http 4https ");
  EXPECT_EQ(told_with({.count = "2"}), "3unknown 4unknown ");
  EXPECT_EQ(told_with({.count = "2", .names = ":x"}), "3 4x ");
  EXPECT_EQ(told_with({.count = "1", .names = "one"}), "3one ");
  EXPECT_EQ(told_with({.count = "0"}), "");
}

TEST(Activation, leaves_what_was_meant_for_another_process) {
  EXPECT_EQ(told_with({.count = "2", .pid = "1"}), "");
}

TEST(Activation, is_nothing_where_no_manager_has_said_anything) {
  EXPECT_TRUE(take_activated_descriptors().empty());
}

TEST(Activation, refuses_variables_that_make_no_sense) {
  EXPECT_EQ(told_with({.count = "many"}), "LISTEN_FDS \"many\": is no number from 0 to 2147483644");
  EXPECT_EQ(told_with({.count = "-1"}), "LISTEN_FDS \"-1\": is no number from 0 to 2147483644");
  EXPECT_EQ(told_with({.count = "1", .pid = "me"}),
            "LISTEN_PID \"me\": is no number from 0 to 2147483647");
  EXPECT_EQ(told_with({.count = "2", .names = "one"}),
            "LISTEN_FDNAMES \"one\": does not name 2 descriptors");
  EXPECT_EQ(told_with({.count = "3"}), "LISTEN_FDS \"5\": Bad file descriptor");
  EXPECT_EQ(told_with({.count = "2000000000"}), "LISTEN_FDS \"5\": Bad file descriptor");
}

}  // namespace
}  // namespace procpool::proc
