#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <string>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "tools/proc_demo/scenario.hpp"

namespace procpool::proc_demo {
namespace {

// A new open file description of the same file.
UniqueFd opened_again(const UniqueFd& file) {
  const std::string path = demo::text("/proc/self/fd/", file.fd());
  UniqueFd again{::open(path.c_str(), O_RDWR | O_CLOEXEC)};
  if (!again.valid()) throw_errno("open", path);
  return again;
}

std::string read_four(const UniqueFd& file) {
  std::array<std::byte, 4> bytes{};
  const std::size_t n = read_full(file.fd(), bytes, "file");
  return {reinterpret_cast<const char*>(bytes.data()), n};
}

void play(Stage& stage) {
  const UniqueFd file{::memfd_create("proc-demo", MFD_CLOEXEC)};
  if (!file.valid()) throw_errno("memfd_create");
  write_full(file.fd(), "one two three ", "file");
  ::lseek(file.fd(), 0, SEEK_SET);
  stage.say("has a file open, \"one two three\", and forks");

  const pid_t before = stage.fork("before", [&] {
    const std::string words = read_four(file);
    stage.say("reads from the descriptor opened before fork: \"", words, "\"");
    ::fcntl(file.fd(), F_SETFL, O_NONBLOCK);
    ::close(file.fd());
    stage.say("sets O_NONBLOCK and closes its descriptor");
    ::_exit(0);
  });
  stage.reap(before);
  stage.prove("the parent's offset moved when the child read", 4, ::lseek(file.fd(), 0, SEEK_CUR));
  stage.prove("the child's O_NONBLOCK is the parent's, too", true,
              (::fcntl(file.fd(), F_GETFL) & O_NONBLOCK) != 0);
  stage.prove("the child's close left the parent's open", "two ", read_four(file));

  const pid_t after = stage.fork("after", [&] {
    const UniqueFd own = opened_again(file);
    stage.prove("opened after fork: it begins at its own offset", "one ", read_four(own));
  });
  stage.reap(after);
  stage.prove("the parent's offset stayed", 8, ::lseek(file.fd(), 0, SEEK_CUR));

  const pid_t flag = stage.fork("flag", [&] {
    ::fcntl(file.fd(), F_SETFD, 0);
    stage.say("clears FD_CLOEXEC of its descriptor");
  });
  stage.reap(flag);
  stage.prove("FD_CLOEXEC belongs to the descriptor: the parent's is set", true,
              ::fcntl(file.fd(), F_GETFD) == FD_CLOEXEC);
}

}  // namespace

const Scenario fork_fd_scenario{
    .name = "fork-fd",
    .summary = "a descriptor opened before fork, and one opened after",
    .lesson =
        "fork copies descriptors, not what they refer to. Parent and child share the open file "
        "description: its offset and its status flags (O_NONBLOCK, O_APPEND). Closing and "
        "FD_CLOEXEC concern each one's own descriptor. What is opened after fork is shared with "
        "nobody.",
    .play = play,
};

}  // namespace procpool::proc_demo
