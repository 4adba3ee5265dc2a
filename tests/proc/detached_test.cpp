#include "proc/detached.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/pipe.hpp"
#include "proc/detail/error_codec.hpp"
#include "tests/proc/telling.hpp"
#include "tests/support/children.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::proc {
namespace {

using test::Gate;

TEST(Detached, is_no_child_of_who_starts_it_and_outlives_him) {
  auto told = ipc::make_pipe();
  Gate end;
  test::Forked starter{[&] {
    const ProcessId id = fork_detached([&] {
      end.wait();
      return 0;
    });
    if (test::has_children()) return 1;
    told.writer.write_full(std::as_bytes(std::span{&id, 1}));
    return 0;
  }};
  EXPECT_EQ(starter.wait(), test::exited(0));
  ProcessId id;
  told.reader.read_full(std::as_writable_bytes(std::span{&id, 1}));
  EXPECT_FALSE(id.is_dead());
  EXPECT_EQ(ProcessId::of(id.pid), id);
  end.open();
  EXPECT_TRUE(test::await_no_children()) << "this process, a subreaper, has adopted it";
  EXPECT_TRUE(id.is_dead());
}

TEST(Detached, is_in_a_session_that_it_does_not_lead) {
  auto told = ipc::make_pipe();
  fork_detached([&, ours = ::getsid(0)] {
    const bool other_session = ::getsid(0) != ours && ::getsid(0) != ::getpid();
    told.writer.write_full(other_session ? "yes" : "no");
    return 0;
  });
  told.writer.close();
  EXPECT_EQ(read_to_end(told.reader.fd(), "pipe"), "yes");
  EXPECT_TRUE(test::await_no_children());
}

TEST(Detached, runs_a_program_with_its_options) {
  const test::TempDir dir;
  const std::string path = dir.path() / "out";
  const ProcessId id = spawn_detached(
      {"sh", "-c", "pwd; umask; echo $$"},
      {.umask = 0027, .working_directory = "/", .redirections = {Redirection::file(1, path)}});
  EXPECT_TRUE(test::await_no_children());
  EXPECT_EQ(read_file(path), "/\n0027\n" + std::to_string(id.pid) + "\n");
}

TEST(Detached, has_no_descriptor_of_how_it_was_started) {
  const auto count = [] {
    return std::to_string(std::distance(std::filesystem::directory_iterator{"/proc/self/fd"}, {}));
  };
  auto told = ipc::make_pipe();
  const std::string ours = count();
  fork_detached([&] {
    told.writer.write_full(count());
    return 0;
  });
  told.writer.close();
  EXPECT_EQ(read_to_end(told.reader.fd(), "pipe"), ours);
  EXPECT_TRUE(test::await_no_children());
}

TEST(Detached, keeps_a_redirection_to_any_number) {
  const test::TempDir dir;
  for (int target = 3; target < 20; ++target) {
    const std::string path = dir.path() / std::to_string(target);
    fork_detached(
        [&] {
          write_full(target, "x", "file");
          return 0;
        },
        {.redirections = {Redirection::file(target, path)}, .keep_only = {{}}});
    EXPECT_TRUE(test::await_no_children());
    EXPECT_EQ(read_file(path), "x");
  }
}

TEST(Detached, says_which_step_failed_in_either_process) {
  EXPECT_EQ(error_of([] { spawn_detached({"no-such-program"}); }),
            "exec \"no-such-program\": No such file or directory");
  EXPECT_EQ(error_of([] { fork_detached([] { return 0; }, {.working_directory = "/no/such"}); }),
            "chdir \"/no/such\": No such file or directory");
  EXPECT_EQ(error_of([] { spawn_detached({}); }), "exec: no program is given");
  try {
    spawn_detached({"no-such-program"});
  } catch (const Error& error) {
    EXPECT_EQ(error.code().value(), ENOENT);
    EXPECT_EQ(error.operation(), "exec");
    EXPECT_EQ(error.object(), "no-such-program");
  }
  EXPECT_FALSE(test::has_children());
}

TEST(Detached, refuses_what_only_a_child_can_have) {
  for (const ChildOptions& options :
       {ChildOptions{.die_with_parent = true},
        ChildOptions{.redirections = {Redirection::pipe_to(STDIN_FILENO)}},
        ChildOptions{.redirections = {Redirection::pipe_from(STDOUT_FILENO)}},
        ChildOptions{.process_group = ProcessGroup::session, .controlling_terminal = 0}}) {
    EXPECT_NE(error_of([&] { spawn_detached({"true"}, options); }).find("detach \"true\": "),
              std::string::npos);
  }
}

TEST(ErrorCodec, brings_back_what_was_sent) {
  for (const Error& error :
       {Error{"open", "x", ENOENT}, Error{"open", "", ENOENT}, Error{"open", "x", "a reason"},
        Error{"open", "", "a reason"}, Error{"", "", ""}}) {
    std::vector<std::byte> bytes;
    ipc::Codec<Error>::encode(error, bytes);
    const Error back = ipc::Codec<Error>::decode(bytes);
    EXPECT_STREQ(back.what(), error.what());
    EXPECT_EQ(back.code(), error.code());
    EXPECT_EQ(back.operation(), error.operation());
    EXPECT_EQ(back.object(), error.object());
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const auto cut = std::span{bytes}.first(size);
      EXPECT_NE(error_of([&] { throw ipc::Codec<Error>::decode(cut); }), error.what());
    }
  }
}

}  // namespace
}  // namespace procpool::proc
