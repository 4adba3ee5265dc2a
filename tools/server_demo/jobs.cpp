// server-demo jobs: the same jobs by processes, threads and coroutines, with what they share.
#include <array>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>

#include "ipc/base/error.hpp"
#include "ipc/base/loop.hpp"
#include "ipc/mutex.hpp"
#include "ipc/shared.hpp"
#include "proc/cpu_count.hpp"
#include "proc/process.hpp"
#include "servers/net/task.hpp"
#include "servers/net/wait.hpp"
#include "tools/server_demo/commands.hpp"
#include "tools/table.hpp"
#include "tools/terminal.hpp"
#include "tools/text.hpp"

namespace procpool::server_demo {
namespace {

using demo::text;
using Clock = std::chrono::steady_clock;

constexpr unsigned kJobs = 8;
constexpr unsigned kNumbers = 40'000;            // that a job looks at
constexpr std::uint64_t kPrimes = 27'608;        // below kJobs * kNumbers
constexpr std::chrono::milliseconds kWait{100};  // that a job waits

enum class Job : std::uint8_t { compute, wait };

constexpr std::uint64_t expected_of(Job job) {
  return job == Job::compute ? kPrimes : kJobs;
}

bool is_prime(unsigned number) {
  for (unsigned divisor = 2; divisor * divisor <= number; ++divisor) {
    if (number % divisor == 0) return false;
  }
  return number > 1;
}

template <typename Count>
void count_primes(unsigned job, Count count) {
  for (unsigned number = job * kNumbers; number < (job + 1) * kNumbers; ++number) {
    if (is_prime(number)) count();
  }
}

// A job that blocks who does it. It counts each prime, or itself, in what all of them share.
template <typename Count>
void do_job(Job job, unsigned index, Count count) {
  if (job == Job::compute) return count_primes(index, count);
  std::this_thread::sleep_for(kWait);
  count();
}

std::uint64_t one_after_the_other(Job job) {
  std::uint64_t total = 0;
  for (unsigned i = 0; i < kJobs; ++i) do_job(job, i, [&] { ++total; });
  return total;
}

std::uint64_t by_processes(Job job) {
  struct Total {
    ipc::Mutex mutex;
    std::uint64_t count = 0;
  };
  const ipc::Shared<Total> total;
  std::vector<proc::Process> processes;
  processes.reserve(kJobs);
  for (unsigned i = 0; i < kJobs; ++i) {
    processes.push_back(proc::Process::fork(
        [&, i] {
          do_job(job, i, [&] {
            const std::scoped_lock lock{total->mutex};
            ++total->count;
          });
          return 0;
        },
        {.name = "job", .die_with_parent = true}));
  }
  for (proc::Process& process : processes) {
    const proc::ExitStatus status = process.wait();
    if (!status.success()) throw Error{"run", "job", status.text()};
  }
  return total->count;
}

std::uint64_t by_threads(Job job) {
  std::mutex mutex;
  std::uint64_t total = 0;
  {
    std::vector<std::jthread> threads;
    threads.reserve(kJobs);
    for (unsigned i = 0; i < kJobs; ++i) {
      threads.emplace_back([&, i] {
        do_job(job, i, [&] {
          const std::scoped_lock lock{mutex};
          ++total;
        });
      });
    }
  }
  return total;
}

net::Task<> be_job(Loop& loop, Job job, unsigned index, std::uint64_t& total) {
  if (job == Job::wait) {
    co_await net::sleep_until(loop, Deadline::in(kWait));
    ++total;
  } else {
    count_primes(index, [&] { ++total; });
  }
}

std::uint64_t by_coroutines(Job job) {
  Loop loop;
  std::uint64_t total = 0;
  std::exception_ptr problem;
  net::TaskGroup jobs{[&](const std::exception_ptr& thrown) { problem = thrown; }};
  for (unsigned i = 0; i < kJobs; ++i) jobs.spawn(be_job(loop, job, i, total));
  while (jobs.size() > 0) loop.run_once(Deadline::never());
  if (problem) std::rethrow_exception(problem);
  return total;
}

struct Way {
  std::string_view name;
  std::string_view shared_state;
  std::uint64_t (*run)(Job);
};

constexpr std::array kWays{
    Way{"one after the other", "a variable", one_after_the_other},
    Way{"processes", "ipc::Mutex and a number, in ipc::Shared", by_processes},
    Way{"threads", "std::mutex and a number", by_threads},
    Way{"coroutines", "a variable", by_coroutines},
};

struct Timed {
  std::uint64_t total;
  double milliseconds;
};

Timed timed(const Way& way, Job job) {
  const auto start = Clock::now();
  const std::uint64_t total = way.run(job);
  return {.total = total,
          .milliseconds = std::chrono::duration<double, std::milli>{Clock::now() - start}.count()};
}

std::string verdict(const Way& way, std::string_view what, std::uint64_t total,
                    std::uint64_t expected) {
  return text("  ", total == expected ? "ok     " : "WRONG  ", way.name, ": ", total, " ", what,
              ", expected ", expected, "\n");
}

std::string lesson() {
  const int cpus = proc::available_cpus();
  return "What to remember\n" +
         demo::wrapped(text("Processes and threads compute side by side, as far as there are "
                            "processors (here ",
                            cpus,
                            "); coroutines of one loop compute one after the other, and wait all "
                            "together."),
                       2, 80) +
         demo::wrapped(
             "What threads share needs a lock, because another thread may run between "
             "any two instructions. Processes share nothing that was not put into "
             "shared memory, and their lock must come back when its owner is killed: "
             "ipc::Mutex does. Coroutines of one loop need none: nobody else runs "
             "between two co_await.",
             2, 80) +
         demo::wrapped(
             "A thread that crashes takes all others with it; so does a coroutine. A "
             "process that crashes is one job less.",
             2, 80);
}

int show_jobs() {
  demo::print(text("server-demo jobs: ", kJobs, " jobs at once, by each way of doing so\n\n"));
  demo::Table table{{{"", demo::Align::left},
                     {"computing"},
                     {"waiting"},
                     {"what they share", demo::Align::left}}};
  std::string proof;
  bool proved = true;
  for (const Way& way : kWays) {
    const Timed computed = timed(way, Job::compute);
    const Timed waited = timed(way, Job::wait);
    table.add({std::string{way.name}, demo::fixed(computed.milliseconds, 0) + " ms",
               demo::fixed(waited.milliseconds, 0) + " ms", std::string{way.shared_state}});
    proof += verdict(way, "primes", computed.total, expected_of(Job::compute));
    proof += verdict(way, "waits", waited.total, expected_of(Job::wait));
    proved = proved && computed.total == expected_of(Job::compute) &&
             waited.total == expected_of(Job::wait);
  }
  demo::print(text(table.text(), "\n", "A computing job counts the primes among ", kNumbers,
                   " numbers; a waiting job waits ", kWait.count(),
                   " ms. Each prime is\ncounted in what all jobs share.\n\nProof\n", proof, "\n",
                   lesson()));
  return proved ? 0 : 1;
}

}  // namespace

void offer_jobs(CLI::App& app, demo::Action& action) {
  app.add_subcommand("jobs", "the same jobs by processes, threads and coroutines")
      ->callback([&action] { action = show_jobs; });
}

}  // namespace procpool::server_demo
