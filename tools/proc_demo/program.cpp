#include "tools/proc_demo/program.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"

namespace procpool::proc_demo {

Program::Program(Stage& stage, std::string_view role, const std::function<void()>& prepare)
    : stage_{stage} {
  std::array<int, 2> input{};
  std::array<int, 2> running{};
  if (::pipe2(input.data(), O_CLOEXEC) < 0 || ::pipe2(running.data(), O_CLOEXEC) < 0) {
    throw_errno("pipe2");
  }
  const UniqueFd reading{input[0]};
  const UniqueFd exec_seen{running[0]};
  UniqueFd exec_pending{running[1]};
  input_.reset(input[1]);
  pid_ = stage.fork(role, [&] {
    prepare();
    stage.execs("cat");
    ::dup2(reading.fd(), STDIN_FILENO);
    ::execlp("cat", "cat", nullptr);
    throw_errno("exec", "cat");
  });
  exec_pending.reset();
  wait_ready(exec_seen.fd(), POLLIN, Deadline::never());  // exec has closed its other end
}

proc::ExitStatus Program::end() {
  input_.reset();
  return stage_.reap(pid_);
}

}  // namespace procpool::proc_demo
