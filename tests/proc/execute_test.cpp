#include "proc/execute.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/pipe.hpp"
#include "proc/signal_mask.hpp"
#include "tests/support/contains.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::proc {
namespace {

using test::exited;
using test::Forked;

struct Written {
  pid_t by;
  std::string text;
};

// What a child writes into a pipe until it has ended well.
Written written_by(const std::function<int(const UniqueFd& output)>& body) {
  auto [reader, writer] = ipc::make_pipe();
  const UniqueFd input = reader.release();
  UniqueFd output = writer.release();
  Forked child{[&] { return body(output); }};
  output.reset();
  std::string text;
  for (char byte = 0; retry_eintr([&] { return ::read(input.fd(), &byte, 1); }) == 1;)
    text.push_back(byte);
  EXPECT_EQ(child.wait(), exited(0)) << text;
  return {.by = child.pid(), .text = text};
}

std::string text_by(const std::function<int(const UniqueFd& output)>& body) {
  return written_by(body).text;
}

// The program writes to its descriptor 1.
int execute_shell(const UniqueFd& output, const std::string& script,
                  const std::vector<int>& keep = {}) {
  ::dup2(output.fd(), STDOUT_FILENO);
  execute({"sh", "-c", script}, {"PATH=/usr/bin:/bin", "WORD=word"}, keep);
}

TEST(Execute, keeps_the_pid_and_gives_exactly_this_environment) {
  const auto [pid, text] = written_by(
      [](const UniqueFd& output) { return execute_shell(output, "echo $$ $WORD ${HOME-none}"); });
  EXPECT_EQ(text, std::to_string(pid) + " word none\n");
}

TEST(Execute, keeps_of_the_descriptors_those_that_are_named) {
  const std::string text = text_by([](const UniqueFd& output) {
    const UniqueFd kept{::fcntl(output.fd(), F_DUPFD_CLOEXEC, 50)};
    const UniqueFd other{::fcntl(output.fd(), F_DUPFD_CLOEXEC, 51)};
    return execute_shell(output, "for n in 50 51; do [ -e /proc/$$/fd/$n ] && echo $n; done; true",
                         {kept.fd()});
  });
  EXPECT_EQ(text, "50\n");
}

TEST(Execute, leaves_what_is_blocked_to_the_next_program) {
  const std::string text = text_by([](const UniqueFd& output) {
    const ScopedSignalMask quiet{{SIGUSR1}};
    ::raise(SIGUSR1);
    ::dup2(output.fd(), STDOUT_FILENO);
    execute({"/bin/cat", "/proc/self/status"}, {}, {});
    return 1;
  });
  EXPECT_TRUE(test::contains(text, "SigBlk:\t0000000000000200\n")) << text;
  EXPECT_TRUE(test::contains(text, "SigPnd:\t0000000000000200\n")) << text;
}

TEST(Execute, finds_the_file_of_a_descriptor_whatever_its_name_is_now) {
  const test::TempDir folder;
  const std::string path = folder.path() / "program";
  std::filesystem::copy_file("/bin/sh", path);
  const std::string text = text_by([&](const UniqueFd& output) {
    const UniqueFd program{::open(path.c_str(), O_PATH | O_CLOEXEC)};
    std::filesystem::rename(path, path + ".old");
    ::dup2(output.fd(), STDOUT_FILENO);
    execute({path, "-c", "echo it is $0"}, {}, {}, program.fd());
    return 1;
  });
  EXPECT_EQ(text, "it is " + path + "\n");
}

TEST(Execute, changes_nothing_when_there_is_no_such_program) {
  const std::string text = text_by([](const UniqueFd& output) {
    const UniqueFd kept{::fcntl(output.fd(), F_DUPFD_CLOEXEC, 50)};
    try {
      const std::vector<int> keep{kept.fd()};
      execute({"/nonexistent/program"}, {}, keep);
    } catch (const Error& error) {
      write_full(output.fd(), error.what(), "pipe");
    }
    return ::fcntl(kept.fd(), F_GETFD) == FD_CLOEXEC ? 0 : 1;
  });
  EXPECT_EQ(text, "exec \"/nonexistent/program\": No such file or directory");
}

}  // namespace
}  // namespace procpool::proc
