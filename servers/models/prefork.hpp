// The pre-fork server: a master that owns the listening sockets, and workers that serve.
//
//   Service service{.listen = {net::Address::parse("127.0.0.1:7")}, .workers = 4};
//   service.make_handler = make_echo;
//   service.make_logger = [] { return spdlog::stderr_logger_st("echo"); };
//   models::Prefork master{service, {.reload = [&] { return service; }}};
//   return master.run();                                  // until it is told to stop
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <spdlog/logger.h>

#include "ipc/base/loop.hpp"
#include "ipc/base/unique_fd.hpp"
#include "ipc/channel.hpp"
#include "ipc/shared.hpp"
#include "proc/credentials.hpp"
#include "proc/scoreboard.hpp"
#include "proc/signal_action.hpp"
#include "proc/signal_source.hpp"
#include "proc/supervisor.hpp"
#include "servers/models/accept_strategy.hpp"
#include "servers/models/cpu_list.hpp"
#include "servers/models/hooks.hpp"
#include "servers/models/inheritance.hpp"
#include "servers/models/sandbox.hpp"
#include "servers/models/worker.hpp"
#include "servers/net/address.hpp"
#include "servers/net/listener.hpp"

namespace procpool::models {

namespace detail {
class Distributor;
class ManagerLine;
class Succession;
class WorkerScaling;
struct Door;
}  // namespace detail

// What one generation of workers runs with. A value: a reload makes a new one.
struct Service {
  std::vector<net::Address> listen{};
  unsigned workers = 1;  // to begin with

  // If the second is larger than the first, there are as many workers as the load needs between the
  // two: it is measured every second, and one that is not needed any more drains.
  unsigned min_workers = 0;
  unsigned max_workers = 0;

  bool scales() const noexcept { return min_workers < max_workers; }

  CpuList cpus{};  // each worker runs on one of them, and they on all; empty: on any
  AcceptStrategy accept = AcceptStrategy::shared;
  unsigned max_connections = 4096;  // open at once, in each worker

  // A client of TCP is accepted when it has sent something, or is silent for a second
  // (TCP_DEFER_ACCEPT, tcp(7)): a worker is not woken once more for each. For protocols in which
  // the client speaks first.
  bool defer_accept = false;

  std::chrono::milliseconds graceful_timeout{30'000};

  // A worker whose loop makes no step for so long is hung: it is aborted, so that its backtrace is
  // in the log, killed soon after if that does not end it, and replaced. An idle one is not hung.
  // Unset: none is.
  std::optional<std::chrono::milliseconds> hung_after{};

  // A worker that has answered so many requests (WorkerSlot::count_request), and a number more that
  // it chooses at random up to the jitter, or that occupies so many bytes of memory, is recycled:
  // its successor is ready before it drains, and one is started at a time. 0: never.
  std::uint64_t max_requests = 0;
  std::uint64_t max_requests_jitter = 0;
  std::uint64_t max_rss = 0;

  // One that occupies more than this, looked at every second by the master, is ended as soon as its
  // successor is ready, or a second later without one: its connections are lost. 0: never.
  std::uint64_t max_rss_hard = 0;

  std::optional<proc::Credentials> run_as{};  // the workers; the master stays what it is

  // Of SandboxFor::worker; null: none. The workers enter it when their handlers are made: only with
  // handlers that need neither processes nor sockets of their own, so neither a TaskPool nor
  // programs.
  std::shared_ptr<const SandboxFilter> sandbox{};

  std::string refusal{};  // sent to a client for whom a worker has no descriptor left

  MakeHandler make_handler{};  // runs in each worker

  // A logger of their own for the master and each worker, writing to where this service wants it.
  // Throws Error.
  std::function<std::shared_ptr<spdlog::logger>()> make_logger{};

  // Where a worker that is aborted writes its backtrace; unset: nowhere. Throws Error.
  std::function<UniqueFd()> open_crash_log{};

  // Run in the master before a generation starts and at USR1: so that the files exist and the
  // workers may write them, whoever they run as. Throws Error.
  std::function<void()> prepare_logs{};
};

// The master. It forks the workers, replaces those that die, and reloads without losing a
// connection: the listening sockets are its own, new workers are ready before old ones drain, and
// idle connections go to the new ones by descriptor through a channel that it keeps open. It never
// touches a connection and never runs a handler, so nothing that a client sends reaches it. If it
// dies, its workers are killed. Of generations that drain the oldest are ended early when there are
// more than kMostDraining.
//
// Signals: HUP reload, TERM and QUIT stop gracefully (a second one, or INT: at once), USR1 reopen
// logs, USR2 upgrade, TTIN and TTOU one worker more or fewer, WINCH drain the workers and stay (HUP
// brings new ones). As PID 1 it reaps adopted orphans.
//
// An upgrade starts another program, which gets the listening sockets and that channel. When its
// first workers are ready these drain, and this master ends; until then it serves, and if the other
// one ends, declines or is not ready within a minute, nothing has changed. If this master dies
// meanwhile, the other one goes on. Process 1 cannot be succeeded so: when NextProgram::trial has
// gone well, it executes the other program in place. That keeps the workers as they are, starts its
// own and lets the former drain; if it declines, this program is executed again, and does the same.
class Prefork {
 public:
  static constexpr std::size_t kMostDraining = 4;

  // What it does not inherit, it opens. The predecessor, if there is one, outlives this object, is
  // told when the first workers are ready, and is not told if none of them could start.
  Prefork(Service service, Hooks<Service> hooks, Inheritance inheritance = {},
          Predecessor* predecessor = nullptr);
  ~Prefork();

  // Listens and serves until it is told to stop. Returns the exit code: 0; or 1 when no worker
  // could start, with the reason in the log. Throws Error when it cannot listen. Call it once, in a
  // process without other threads.
  int run();

 private:
  enum class Phase { starting, serving, stopping };

  // A service with its doors. Workers of a generation are restarted with what it began with, even
  // while the next one is starting; a door that both have is the same door.
  struct Generation {
    int number = 0;  // the supervisor's
    Service service;
    std::vector<std::shared_ptr<detail::Door>> doors;
    std::vector<std::vector<net::Listener*>> sockets;  // of each door, which may get more later
  };

  // Where a worker runs.
  struct Placement {
    const Generation* generation;
    int cpu;
  };

  void obey(const proc::SignalInfo& signal);
  void reload();
  void upgrade();
  void upgrade_has_failed(const std::string& problem);
  void take_over();
  Estate estate(const NextProgram& next);
  void adopt_workers();
  void finish_upgrade_in_place(const std::string& problem);
  void give_up_start(const std::string& reason);
  void leave_to_successor(pid_t successor);
  Totals totals() const;
  void start(std::shared_ptr<Generation> next);
  std::shared_ptr<Generation> open(Service service);
  void finish_reload(const std::string& result);
  void add_worker();
  void retire_worker();
  void recycle_one();
  void look_after_workers();
  void end_those_too_large();
  void scale();
  double load_of(const proc::ChildView& worker, Deadline::Clock::duration time);
  void hurry_old_generations();
  unsigned workers_to_begin_with(const Service& service) const;
  int cpu_of_next_worker(const Generation& generation, int slot);
  void leave_work();
  void open_log();
  void reopen_logs();
  void begin_to_stop();
  void stop_gracefully();
  void stop_now();
  void leave_doors();
  bool listen_at_all_doors();
  void choose_when_to_accept();
  detail::Distributor& distributor(AcceptStrategy strategy);
  void leave_slot(int slot);
  bool distribute();

  void on_event(const proc::SupervisorEvent& event);
  void follow(const proc::SupervisorEvent& event);
  void on_generation_ready();
  void on_generation_failed(const std::string& reason);
  void show(const proc::SupervisorEvent& event);
  void show_master();
  void leave_row(proc::WorkerSlot& slot);

  proc::ChildSpec worker_spec(const std::shared_ptr<Generation>& generation);
  int be_worker(Generation& generation, proc::ChildContext& context);
  unsigned living_workers() const;
  const Generation& newest() const;

  proc::ScopedSignalAction no_sigpipe_;  // whoever reads the logs may leave
  Hooks<Service> hooks_;
  Inheritance inheritance_;  // what no generation has asked for yet
  Predecessor* predecessor_;
  std::shared_ptr<Generation> current_;  // what serves; null before the first workers are ready
  std::shared_ptr<Generation> next_;     // what is starting
  std::shared_ptr<spdlog::logger> log_;
  Phase phase_ = Phase::starting;
  int exit_code_ = 0;
  bool reload_again_ = false;  // a HUP came while a generation was starting
  ipc::ChannelPair handed_over_;
  UniqueFd successor_bell_;  // an eventfd: a worker asks to be recycled
  ipc::Shared<proc::Scoreboard> board_;
  Loop loop_;
  std::unique_ptr<detail::ManagerLine> manager_;
  Loop::Timer care_timer_;
  Deadline::Clock::time_point last_look_{};
  std::map<pid_t, std::uint64_t> worked_;  // of each worker, nanoseconds up to the last look
  std::set<pid_t> too_large_;              // workers whose successors are on their way
  std::map<int, Placement> placements_;    // by slot; those of the dead too
  std::unique_ptr<detail::WorkerScaling> scaling_;
  std::unique_ptr<detail::Succession> succession_;
  std::map<AcceptStrategy, std::unique_ptr<detail::Distributor>> distributors_;
  proc::SignalSource signals_;
  proc::Supervisor supervisor_;
};

}  // namespace procpool::models
