// What processes cost by Process and Supervisor, beside the kernel's own calls, in microseconds.
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/pipe.hpp"
#include "ipc/shared.hpp"
#include "proc/process.hpp"
#include "proc/supervisor.hpp"
#include "tests/bench/contest.hpp"

namespace procpool::proc {
namespace {

using namespace std::chrono_literals;
using bench::Contest;
using bench::Target;
using Clock = std::chrono::steady_clock;
using Kind = SupervisorEvent::Kind;
using Microseconds = double;

Microseconds since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

Microseconds median(std::vector<Microseconds> times) {
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::ranges::nth_element(times, middle);
  return *middle;
}

template <typename Work>
Microseconds time_of_one(int times, const Work& work) {
  std::vector<Microseconds> all;
  all.reserve(static_cast<std::size_t>(times));
  for (int i = 0; i < times; ++i) {
    const auto start = Clock::now();
    work();
    all.push_back(since(start));
  }
  return median(std::move(all));
}

void require_success(int status) {
  if (status != 0) throw Error{"measure", "child", "it failed"};
}

// ---- fork and spawn

constexpr int kForks = 500;
constexpr int kSpawns = 100;

Microseconds fork_by_process() {
  return time_of_one(kForks, [] { Process::fork([] { return 0; }).wait(); });
}

Microseconds fork_bare() {
  return time_of_one(kForks, [] {
    const pid_t child = ::fork();
    if (child < 0) throw_errno("fork");
    if (child == 0) ::_exit(0);
    int status = 0;
    ::waitpid(child, &status, 0);
    require_success(status);
  });
}

Microseconds spawn_by_process() {
  return time_of_one(kSpawns, [] { Process::spawn({"/bin/true"}).wait(); });
}

Microseconds spawn_by_posix() {
  return time_of_one(kSpawns, [] {
    std::array<char, 10> program{"/bin/true"};
    std::array<char*, 2> argv{program.data(), nullptr};
    pid_t child = 0;
    if (::posix_spawn(&child, program.data(), nullptr, nullptr, argv.data(), ::environ) != 0) {
      throw Error{"posix_spawn", program.data(), "it failed"};
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    require_success(status);
  });
}

// Every page of it, in small pages, so that a copy of the page tables would be seen.
void touch(std::size_t size) {
  void* const memory =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw_errno("mmap", std::to_string(size));
  ::madvise(memory, size, MADV_NOHUGEPAGE);
  constexpr std::size_t kPage = 4096;
  for (std::size_t at = 0; at < size; at += kPage) static_cast<volatile char*>(memory)[at] = 1;
  std::this_thread::sleep_for(1s);  // until the real-time throttle is over
}

// In a process of its own, which ends with it.
Microseconds measured_apart(const std::function<Microseconds()>& round) {
  const ipc::Shared<Microseconds> result;
  const auto apart = [&] {
    *result = round();
    return 0;
  };
  require_success(Process::fork(apart, {.name = "round"}).wait().success() ? 0 : 1);
  return *result;
}

Microseconds spawn_from_large() {
  return measured_apart([] {
    touch(std::size_t{4} << 30U);
    return spawn_by_process();
  });
}

Microseconds spawn_from_small() {
  return measured_apart(spawn_by_process);
}

// ---- supervision

void allow_descriptors() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Children that do nothing, all of them ready.
class Idlers {
 public:
  explicit Idlers(std::size_t count) {
    allow_descriptors();
    const ChildSpec idler{.name = "idler",
                          .body =
                              [](ChildContext& context) {
                                context.ready();
                                for (;;) ::pause();
                                return 0;
                              },
                          .options = {.die_with_parent = true},
                          .ready_within = 60s,
                          .restart = {.first_delay = 0ms, .longest_delay = 0ms}};
    supervisor_.start_generation(std::vector<ChildSpec>(count, idler), {{SIGKILL, kForever}});
    await(Kind::generation_ready);
  }

  // From the death of one to the start of its successor.
  Microseconds kill_one(std::size_t index) {
    const pid_t victim = supervisor_.children()[index].pid;
    const auto start = Clock::now();
    ::kill(victim, SIGKILL);
    await(Kind::started);
    const Microseconds time = since(start);
    await(Kind::ready);
    return time;
  }

  // Waits for an event of this kind, which comes after this call.
  void await(Kind kind) {
    seen_ = 0;
    awaited_ = kind;
    while (seen_ == 0) {
      wait_ready(supervisor_.fd(), POLLIN, Deadline::never());
      supervisor_.step();
    }
  }

 private:
  Kind awaited_ = Kind::ready;
  int seen_ = 0;
  Supervisor supervisor_{[this](const auto& event) { seen_ += event.kind == awaited_ ? 1 : 0; }};
};

Microseconds restart_among(std::size_t count) {
  constexpr std::size_t kDeaths = 100;
  return measured_apart([count] {
    Idlers idlers{count};
    std::this_thread::sleep_for(1s);  // until the real-time throttle is over
    std::vector<Microseconds> times;
    times.reserve(kDeaths);
    for (std::size_t i = 0; i < kDeaths; ++i) times.push_back(idlers.kill_one(i * 7 % count));
    return median(std::move(times));
  });
}

// Both kinds: it went to sleep, or had to make room.
long context_switches_of(pid_t pid) {
  std::ifstream status{"/proc/" + std::to_string(pid) + "/status"};
  long sum = 0;
  for (std::string word; status >> word;) {
    long count = 0;
    if (word.ends_with("_ctxt_switches:") && status >> count) sum += count;
  }
  return sum;
}

double context_switches_when_idle() {
  auto [ready, is_ready] = ipc::make_pipe();
  auto supervising = Process::fork(
      [&] {
        Idlers idlers{1000};
        is_ready.close();
        idlers.await(Kind::generation_gone);
        return 0;
      },
      {.name = "supervisor", .die_with_parent = true});
  is_ready.close();
  std::array<std::byte, 1> nothing;
  ready.read_some(nothing);            // until its end
  std::this_thread::sleep_for(500ms);  // until it sleeps
  const long before = context_switches_of(supervising.pid());
  std::this_thread::sleep_for(10s);
  return static_cast<double>(context_switches_of(supervising.pid()) - before);
}

// ---- The contests

constexpr Contest kContests[] = {
    {"fork", "Process::fork and wait", "fork(2), waitpid(2)", &fork_by_process, &fork_bare,
     Target::times_as_long, 1.15},
    {"spawn", "Process::spawn of true, and wait", "posix_spawn(3)", &spawn_by_process,
     &spawn_by_posix, Target::times_as_long, 1.1},
    {"spawn-large", "spawn by a parent with 4 GiB", "by a small parent", &spawn_from_large,
     &spawn_from_small, Target::times_as_long, 1.3},
    // What it grows by is the kernel's: a fork copies a pidfd for each child, and the new one
    // closes them.
    {"restart", "death to restart, 1,000 children", "10 children",
     [] { return restart_among(1000); }, [] { return restart_among(10); }, Target::times_as_long,
     2},
    {"idle", "switches in 10 s, 1,000 children", "", &context_switches_when_idle, nullptr,
     Target::at_most, 0},
};

}  // namespace
}  // namespace procpool::proc

int main(int argc, char** argv) {
  return procpool::bench::contest_main("process_bench", procpool::proc::kContests, argc, argv);
}
