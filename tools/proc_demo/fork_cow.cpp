#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>

#include "ipc/base/error.hpp"
#include "tools/proc_demo/scenario.hpp"

namespace procpool::proc_demo {
namespace {

constexpr std::size_t kMiB = 1024 * 1024;
constexpr std::size_t kSize = 32 * kMiB;
constexpr long kSizeKb = kSize / 1024;

struct Pages {
  Pages()
      : begin{::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)} {
    if (begin == MAP_FAILED) throw_errno("mmap");
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() { ::munmap(begin, kSize); }

  void write_all(char value) const {
    auto* bytes = static_cast<volatile char*>(begin);
    for (std::size_t i = 0; i < kSize; i += 4096) bytes[i] = value;
  }
  char first() const { return *static_cast<const volatile char*>(begin); }

  void* begin;
};

Memory say_memory(Stage& stage, std::string_view whose, pid_t pid) {
  const Memory memory = memory_of(pid);
  stage.say("memory of ", whose, ": PSS ", memory.pss, " kB, of its own ", memory.private_dirty,
            " kB");
  return memory;
}

void play(Stage& stage) {
  const Pages pages;
  pages.write_all('p');
  stage.say("has 32 MiB, all written");
  const Memory alone = say_memory(stage, "the parent", ::getpid());
  const Cue may_write;
  const Cue written;
  const Cue may_end;
  const pid_t child = stage.fork("child", [&] {
    stage.await(may_write);
    pages.write_all('c');
    stage.say("writes to every page");
    written.give();
    stage.await(may_end);
  });
  const Memory parent_after_fork = say_memory(stage, "the parent", ::getpid());
  const Memory child_after_fork = say_memory(stage, "the child", child);
  stage.prove("after fork the child has 32 MiB of its own", false,
              child_after_fork.private_dirty >= kSizeKb);
  stage.prove("nor has the parent: each page is shared by two", false,
              parent_after_fork.private_dirty >= kSizeKb);
  stage.prove(
      "half of it is counted for each (PSS)", true,
      parent_after_fork.pss < alone.pss - kSizeKb / 3 && child_after_fork.pss > kSizeKb / 3);
  may_write.give();
  stage.await(written);
  const Memory child_after_write = say_memory(stage, "the child", child);
  const Memory parent_after_write = say_memory(stage, "the parent", ::getpid());
  stage.prove("after its writes the child has 32 MiB of its own", true,
              child_after_write.private_dirty >= kSizeKb);
  stage.prove("and the parent has its own again", true,
              parent_after_write.private_dirty >= kSizeKb);
  stage.prove("what the parent reads there", 'p', pages.first());
  may_end.give();
  stage.reap(child);
}

}  // namespace

const Scenario fork_cow_scenario{
    .name = "fork-cow",
    .summary = "memory after fork is shared until somebody writes",
    .lesson =
        "fork copies no memory, only the tables that lead to it: a page is copied when one of the "
        "two writes to it. So forking is cheap, and writing afterwards is not. RSS counts shared "
        "pages once for each process; PSS divides them, and adds up to what is really used.",
    .play = play,
};

}  // namespace procpool::proc_demo
