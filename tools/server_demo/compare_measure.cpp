#include "tools/server_demo/compare_measure.hpp"

#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/pipe.hpp"
#include "proc/process.hpp"
#include "servers/models/cpu_list.hpp"
#include "tools/server_demo/compare_tree.hpp"
#include "tools/text.hpp"

namespace procpool::server_demo {
namespace {

using namespace std::chrono_literals;

constexpr auto kStart = 10s;
constexpr auto kOpening = 4s;
constexpr unsigned kSpare = 64;  // descriptors that are no connections, and places that stay free

rlim_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) < 0) throw_errno("getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) < 0) throw_errno("setrlimit");
  return limit.rlim_cur;
}

rlim_t descriptor_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

void stay_on(int cpu) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(static_cast<std::size_t>(cpu), &cpus);
  if (::sched_setaffinity(0, sizeof cpus, &cpus) < 0) throw_errno("sched_setaffinity");
}

std::string why_not(const Case& what) {
  const Model& model = *what.model;
  if (model.most_connections != 0 && what.connections > model.most_connections) {
    return std::string{model.limit};
  }
  if (what.connections + kSpare > descriptor_limit()) {
    return demo::text("this process may have ", descriptor_limit(), " descriptors (RLIMIT_NOFILE)");
  }
  return {};
}

// A server in a process of its own. Ends with this object.
class MeasuredServer {
 public:
  MeasuredServer(const Case& what, unsigned workers, const std::vector<int>& cpus)
      : pipe_{ipc::make_pipe()},
        process_{proc::Process::fork([&] { return serve(what, workers); },
                                     {.name = "server", .die_with_parent = true, .cpus = cpus})},
        address_{await_address()} {}

  const net::Address& address() const noexcept { return address_; }
  pid_t pid() const noexcept { return process_.pid(); }

  // What it and all its descendants have used in their lives.
  rusage stop() {
    process_.stop({{SIGINT, 5s}, {SIGKILL, proc::kForever}});
    return process_.usage().value_or(rusage{});
  }

 private:
  int serve(const Case& what, unsigned workers) {
    pipe_.reader.close();
    Setup setup{.address = net::Address::parse("127.0.0.1:0"),
                .protocol = handlers_doing(what.work),
                .workers = workers,
                .max_connections = what.connections + kSpare,
                .log = "/dev/null"};
    setup.on_serving = [&](const net::Address& bound) { pipe_.writer.write_full(bound.text()); };
    return what.model->serve(setup);
  }

  net::Address await_address() {
    pipe_.writer.close();
    std::array<std::byte, 128> buffer;
    std::size_t size = 0;
    if (wait_ready(pipe_.reader.fd(), POLLIN, Deadline::in(kStart)) != 0) {
      size = pipe_.reader.read_some(buffer);
    }
    if (size == 0) throw Error{"start", "server", "it does not say where it listens"};
    return net::Address::parse({reinterpret_cast<const char*>(buffer.data()), size});
  }

  ipc::Pipe pipe_;
  proc::Process process_;
  net::Address address_;
};

std::chrono::nanoseconds processor_time_of(const rusage& usage) {
  const auto time = [](const timeval& value) {
    return std::chrono::seconds{value.tv_sec} + std::chrono::microseconds{value.tv_usec};
  };
  return time(usage.ru_utime) + time(usage.ru_stime);
}

// What the answers cost. What lives is counted exactly in the window; but a server whose threads
// or processes end with their clients is counted from before the first client to its own end,
// where the window's ticks would be too coarse, or know nothing of those that have ended.
struct Cost {
  std::chrono::nanoseconds processor_time;
  std::uint64_t context_switches;
  std::uint64_t answers;
};

struct Observed {
  TreeUse at_first;
  TreeUse before;
  TreeUse after;
  rusage life;
  std::uint64_t answers;
  std::uint64_t answers_in_life;
};

Cost cost_of_window(const Observed& seen) {
  return {.processor_time = seen.after.processor_time - seen.before.processor_time,
          .context_switches = seen.after.context_switches - seen.before.context_switches,
          .answers = seen.answers};
}

Cost cost_of_life(const Observed& seen) {
  const auto switches = static_cast<std::uint64_t>(seen.life.ru_nvcsw + seen.life.ru_nivcsw);
  return {.processor_time = processor_time_of(seen.life) - seen.at_first.processor_time,
          .context_switches = switches - std::min(switches, seen.at_first.context_switches),
          .answers = seen.answers_in_life};
}

bool ticks_are_too_coarse(const Model& model, const Observed& seen) {
  constexpr auto kTenTicks = 100ms;
  return model.family == Family::processes &&
         seen.after.processor_time - seen.before.processor_time < kTenTicks;
}

std::optional<std::chrono::nanoseconds> processor_time_each(const Cell& cell,
                                                            const Observed& seen) {
  const bool by_life = cell.load == Load::short_lived && ticks_are_too_coarse(*cell.model, seen);
  const Cost cost = by_life ? cost_of_life(seen) : cost_of_window(seen);
  if (cost.answers == 0) return std::nullopt;
  return cost.processor_time / static_cast<std::int64_t>(cost.answers);
}

std::optional<double> context_switches_each(const Cell& cell, const Observed& seen) {
  const Cost cost = cell.load == Load::short_lived ? cost_of_life(seen) : cost_of_window(seen);
  if (cost.answers == 0) return std::nullopt;
  return static_cast<double>(cost.context_switches) / static_cast<double>(cost.answers);
}

void note(Cell& cell, const Answers& answers) {
  cell.answered = answers.clients;
  cell.lost = answers.lost;
  cell.answers = answers.count;
  cell.per_second = answers.per_second();
  cell.latency_50 = answers.latency(0.5);
  cell.latency_99 = answers.latency(0.99);
}

}  // namespace

Bench Bench::set_up() {
  raise_descriptor_limit();
  const std::vector<int> all = models::allowed_cpus();
  stay_on(all.front());
  const bool shares = all.size() == 1;
  const std::vector<int> rest{all.begin() + (shares ? 0 : 1), all.end()};
  const auto cpus = static_cast<unsigned>(rest.size());
  double load = 0;
  ::getloadavg(&load, 1);
  return Bench{
      {.cpus = cpus, .shares_cpu = shares, .workers = std::max(2U, cpus), .load_average = load},
      rest};
}

Cell Bench::measure(const Case& what, std::chrono::nanoseconds window) const {
  Cell cell{what};
  cell.reason = why_not(what);
  if (!cell.measured()) return cell;
  MeasuredServer server{what, machine_.workers, server_cpus_};
  LoadGenerator clients{server.address(), what.load, what.connections};
  Observed seen{};
  seen.at_first = use_of_tree(server.pid());
  cell.served = clients.open(Deadline::in(kOpening));
  cell.asking = asking_of(what.load, what.connections);
  seen.before = use_of_tree(server.pid());
  note(cell, clients.run(window));
  seen.after = use_of_tree(server.pid());
  cell.memory = memory_of_tree(server.pid());
  cell.processes = seen.after.processes;
  cell.threads = seen.after.threads;
  seen.life = server.stop();
  seen.answers = cell.answers;
  seen.answers_in_life = clients.answered_so_far();
  cell.processor_time = processor_time_each(cell, seen);
  cell.context_switches = context_switches_each(cell, seen);
  return cell;
}

}  // namespace procpool::server_demo
