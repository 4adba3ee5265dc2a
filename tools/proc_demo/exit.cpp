#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "tools/proc_demo/scenario.hpp"

namespace procpool::proc_demo {
namespace {

UniqueFd empty_file() {
  UniqueFd file{::memfd_create("proc-demo", MFD_CLOEXEC)};
  if (!file.valid()) throw_errno("memfd_create");
  return file;
}

std::string content_of(const UniqueFd& file) {
  return read_file(demo::text("/proc/self/fd/", file.fd()));
}

void write_mark(int, void* fd) {
  static_cast<void>(::write(*static_cast<const int*>(fd), "handler", 7));
}

void play(Stage& stage) {
  const UniqueFd file = empty_file();
  const UniqueFd marks = empty_file();
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream{
      ::fdopen(::fcntl(file.fd(), F_DUPFD_CLOEXEC, 0), "w"), &std::fclose};
  stage.say("writes \"once;\" with stdio; it lies in the buffer of this process, not in the file");
  std::fputs("once;", stream.get());
  const int mark = marks.fd();

  const pid_t raw = stage.fork("raw", [&] {
    ::on_exit(write_mark, const_cast<int*>(&mark));
    stage.say("ends by _exit(0)");
    ::_exit(0);
  });
  stage.await_end(raw);
  stage.prove("in the file after _exit: its copy of the buffer is dropped", "\"\"",
              "\"" + content_of(file) + "\"");
  stage.prove("what its exit handlers wrote", "\"\"", "\"" + content_of(marks) + "\"");
  stage.reap(raw);

  const pid_t polite = stage.fork("polite", [&] {
    ::on_exit(write_mark, const_cast<int*>(&mark));
    stage.say("ends by exit(0)");
    ::exit(0);  // NOLINT(concurrency-mt-unsafe): that is what is to be seen
  });
  stage.await_end(polite);
  stage.prove("in the file after exit: it has flushed a buffer that was its parent's", "\"once;\"",
              "\"" + content_of(file) + "\"");
  stage.prove("what its exit handlers wrote", "\"handler\"", "\"" + content_of(marks) + "\"");
  stage.reap(polite);

  stage.say("flushes its own buffer");
  std::fflush(stream.get());
  stage.prove("what was written once, is there twice", "\"once;once;\"",
              "\"" + content_of(file) + "\"");

  const pid_t wrapped = stage.fork("wrapped", [] { ::_exit(256 + 7); });
  stage.prove("_exit(263): eight bits arrive", "exited with code 7", stage.reap(wrapped).text());
}

}  // namespace

const Scenario exit_scenario{
    .name = "exit",
    .summary = "exit(3) beside _exit(2) in a child of fork",
    .lesson =
        "fork copies the buffers of stdio, too. A child that calls exit flushes what its parent "
        "wrote, and runs handlers and destructors that its parent set up: the output comes twice. "
        "So flush before fork, and end children of fork in _exit.",
    .play = play,
};

}  // namespace procpool::proc_demo
