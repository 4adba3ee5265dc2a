// Keeps a set of forked children running, and replaces the set as a whole.
//
//   Supervisor supervisor{[](const SupervisorEvent& event) { log(event.text()); }};
//   std::vector<ChildSpec> workers(4, {.name = "worker", .body = serve});
//   supervisor.start_generation(workers, {{SIGTERM, 30s}, {SIGKILL, kForever}});
//   Loop::Watch watch{loop, supervisor.fd(), Interest::read, [&](auto&) { supervisor.step(); }};
//
//   int serve(ChildContext& context) { open_all(); context.ready(); return serve_until_told(); }
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ipc/base/deadline.hpp"
#include "ipc/base/loop.hpp"
#include "ipc/base/unique_fd.hpp"
#include "proc/child_options.hpp"
#include "proc/escalation.hpp"
#include "proc/exit_status.hpp"
#include "proc/process.hpp"
#include "proc/restart_policy.hpp"
#include "proc/signal_source.hpp"
#include "proc/supervisor_status.hpp"
#include "proc/timer.hpp"

namespace procpool::proc {

// What a supervised child knows of its place; in the child only.
class ChildContext {
 public:
  // Start-up is done: told to the supervisor, once. Whoever does not say so within
  // ChildSpec::ready_within is killed.
  void ready();

  // Start-up failed: the reason (its first 4 KB) travels to the supervisor. The body then returns
  // non-zero. An exception that leaves the body before ready() says its text by itself.
  void fail(std::string_view reason);

  // I am well: a watchdog's heart-beat, from any thread of the child. To be given more often than
  // once in alive_within(), counted from ready() on. Costs a look at the clock and a store in
  // shared memory; without a watchdog nothing.
  void alive() noexcept;

  // ChildSpec::alive_within.
  std::optional<std::chrono::milliseconds> alive_within() const noexcept { return alive_within_; }

  // Readable (end of file) when the supervisor's process is dead, however it died. It holds where
  // die_with_parent does not: after the forking thread has ended, and in descendants.
  int life_fd() const noexcept { return life_fd_; }

  int slot() const noexcept { return slot_; }  // see Supervisor
  int generation() const noexcept { return generation_; }

 private:
  friend class Supervisor;
  ChildContext() = default;

  UniqueFd readiness_{};  // closed when all is said
  int life_fd_ = -1;
  int slot_ = -1;
  int generation_ = 0;
  std::optional<std::chrono::milliseconds> alive_within_{};
  std::atomic<Deadline::Clock::rep>* last_sign_of_life_ = nullptr;  // shared with the supervisor
};

// Whether a child that has ended unasked is started again, in the words of OTP's supervisor(3).
enum class RestartType {
  permanent,  // always
  transient,  // only after an abnormal end: every one but exit code 0 after it was ready
  temporary,  // never, whatever happens to others
};

struct ChildSpec {
  std::string name{};
  std::function<int(ChildContext&)> body{};  // runs in the child; its result is the exit code

  // The child closes every descriptor but 0, 1, 2, its context's, and options.keep_only (unset:
  // none).
  ChildOptions options{};
  std::chrono::milliseconds ready_within{10'000};
  RestartPolicy restart{};  // how soon, and how often
  RestartType restart_type = RestartType::permanent;

  // A watchdog: once ready, it calls ChildContext::alive() at least so often, or it is ended by
  // `stop` and counts as one that has exited abnormally. If the supervisor itself was not running
  // meanwhile (both were stopped, SIGSTOP), it has as long again. Unset: none.
  std::optional<std::chrono::milliseconds> alive_within{};

  // How it is ended when that is the supervisor's own decision: its watchdog says so, another
  // child's death asks for it (Strategy), or the generation gives up.
  Escalation stop{{SIGTERM, std::chrono::seconds{5}}, {SIGKILL, kForever}};
};

// Who is started again when a child dies that is started again: OTP's supervisor(3). The others
// are ended first, and all wait until none of them is left and the dead one's delay is over.
enum class Strategy {
  one_for_one,   // it alone
  one_for_all,   // all of its generation
  rest_for_one,  // it and those after it
};

enum class StartOrder {
  together,
  one_by_one,  // each when the one before is ready; they end in reverse order, each when the one
               // after it is gone
};

// What binds the children of a generation, in the order in which they were given. A value.
struct GenerationPolicy {
  Strategy strategy = Strategy::one_for_one;
  StartOrder order = StartOrder::together;

  // The generation gives up, and ends all its children, when more than `at_most` restarts fall into
  // `within`. By the clock, as in OTP, so RestartPolicy's delays count: keep them short against it,
  // or a child that fails for ever is never given up.
  struct Intensity {
    int at_most = 1;
    std::chrono::milliseconds within{5'000};
  };
  std::optional<Intensity> intensity{};  // unset: never
};

struct ChildView {
  std::string name;
  int slot = -1;  // -1: no process now (backing off)
  pid_t pid = 0;
  int generation = 0;
  ChildState state = ChildState::idle;
  Deadline::Clock::time_point started{};  // of the process; of the last one when backing off
  int restarts = 0;
};

struct SupervisorEvent {
  enum class Kind {
    started,             // forked
    ready,               // said so
    start_failed,        // ended before it was ready, or could not be forked: reason, status
    unresponsive,        // its watchdog found no sign of life: reason; it is told to stop
    exited,              // ended after it was ready, and nobody had asked: status, maybe reason
    backing_off,         // will be started again after delay (also 0)
    gave_up,             // its RestartPolicy says so; it is forgotten
    not_restarted,       // its RestartType says so; it is forgotten
    retiring,            // was told to stop
    ended,               // what was retiring is gone: status (none if it had no process)
    generation_ready,    // all its children are ready: it is the current one
    generation_failed,   // a child failed to start: reason; the older generation serves on
    generation_gave_up,  // its intensity is exceeded: reason; its children are ended
    generation_gone,     // its last child is gone
    orphan_ended,        // one that was adopted (adopt_orphans): name, pid, status
  };
  Kind kind;
  std::string name{};  // of the child; empty for generation_*
  pid_t pid = 0;
  int slot = -1;
  int generation = 0;
  std::optional<ExitStatus> status{};
  std::string reason{};
  std::chrono::milliseconds delay{};

  std::string text() const;  // one line for a log: "worker (process 12, slot 3): killed by SIGSEGV"
};
std::string_view name_of(SupervisorEvent::Kind kind) noexcept;  // "generation_ready", ...

// Children in generations. A generation is the set of children that serve together:
// start_generation starts a new one beside the current one, which is retired only when all the new
// ones are ready. Dead children of the current generation are replaced, each by its own
// RestartType and RestartPolicy: one that crashes in a loop neither stops the others nor the
// supervisor, and neither does a fork that fails (EAGAIN).
//
// Slots: every living child has a number of its own, the lowest free one from 0, over all
// generations; it is free again when the child is reaped. It indexes what master and workers share.
// A restarted child may get another one.
//
// For one thread, and the process that made it: children do not touch it. It owns its children; its
// destructor kills and reaps them. No call blocks but for the moments of a fork. Events are
// reported by step() only, so a call-back may call everything but step().
class Supervisor {
 public:
  using EventHandler = std::function<void(const SupervisorEvent&)>;
  static constexpr int kUnlimited = 1 << 20;

  // More than most_children processes at once are not started: reported as start_failed.
  explicit Supervisor(EventHandler on_event, int most_children = kUnlimited);
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;
  ~Supervisor();

  // Forks all children; returns the new generation's number (1, 2, ...). When all are ready it
  // becomes the current one (generation_ready), and older ones are retired with retire_old. If one
  // fails to start (exit, fail(), time-out, fork) the new one is stopped (who was ready with
  // retire_old, the others by SIGKILL) and generation_failed tells the reason; the current one is
  // untouched. One that is still starting is replaced: it has failed. A generation of one_by_one
  // ends in reverse order, each child with the whole time of the escalation.
  //
  // A child whose RestartPolicy gives up is forgotten; except with one_for_one, its generation
  // gives up with it.
  int start_generation(std::vector<ChildSpec> children, Escalation retire_old,
                       GenerationPolicy policy = {});

  // One more in the newest generation: the one that is starting if there is one, else the current.
  void add(ChildSpec child);

  // The newest child of the newest generation that is not retiring yet; nothing if there is none.
  void retire_one(const Escalation& escalation);

  // Nothing is restarted any more. What is retiring already goes on as it was told.
  void retire_all(const Escalation& escalation);

  // As retire_all, but what is retiring already is told anew: stop now.
  void stop_all(const Escalation& escalation);

  // The same, each child by its own ChildSpec::stop.
  void stop_all();

  // To every child that lives. One that takes such signals by a SignalSource has them in
  // ChildOptions::blocked_signals: else an early one kills it.
  void signal_children(int signal_number);

  // Shows its children under this name, to read_supervisor_status() in any process, until it is
  // destroyed or its process has ended. Throws Error as SupervisorStatusWriter.
  void show_status(const std::string& name);

  std::vector<ChildView> children() const;  // by age, oldest first
  bool empty() const noexcept { return children_.empty(); }
  bool starting() const noexcept { return starting_.has_value(); }  // a generation is on its way
  int generation() const noexcept { return current_; }  // 0 before the first one is ready
  bool gave_up() const noexcept;  // the current generation: it is ending or gone

  int fd() const noexcept { return loop_.fd(); }  // readable: step() has work
  void step();  // all that is due now, and the events. Never blocks.

  // From now on this process adopts the orphans among its descendants, as PID 1 does anyway: a
  // subreaper, PR_SET_CHILD_SUBREAPER, prctl(2), until it ends; its children are none. step() reaps
  // the orphans when they have ended and tells so (orphan_ended), so that none stays a zombie.
  // Takes SIGCHLD, as a SignalSource: nobody else may, and no other thread may run yet. Of other
  // children the same holds as of reap_strangers. Throws Error.
  void adopt_orphans();

  // The same for who takes SIGCHLD himself, and is PID 1 or a subreaper: reaps the adopted
  // processes that have ended; call it at SIGCHLD. The supervisor's own children are left to it;
  // children of other Process objects are not known to it, so a program that has such must not call
  // this.
  struct Stranger {
    pid_t pid;
    std::string name;  // as in ps(1), at most 15 bytes
    ExitStatus status;
  };
  std::vector<Stranger> reap_strangers();

 private:
  enum class Event : std::uint8_t { turn, ready, exited, stop, due };
  enum class AfterStop : std::uint8_t { is_gone, starts_again, is_replaced };
  struct Child;
  using Action = void (Supervisor::*)(Child&);
  static const Action kActions[][5];  // [ChildState][Event]

  struct Generation {
    GenerationPolicy policy{};
    std::deque<Deadline::Clock::time_point> restarts{};  // those that policy.intensity looks at
    bool gave_up = false;
  };

  struct StartingGeneration {
    int number;
    Escalation retire_old;
  };

  void handle(Child& child, Event event);
  // The actions.
  void nothing(Child& child);
  void start_child(Child& child);
  void be_ready(Child& child);
  void kill_unready(Child& child);
  void fail_start(Child& child);
  void replace(Child& child);
  void look_for_life(Child& child);
  void await_turn(Child& child);
  void await_turn_to_stop(Child& child);
  void begin_stop(Child& child);
  void next_stop_step(Child& child);
  void finish(Child& child);
  void forget(Child& child);
  void drop(Child& child);

  void make_child(ChildSpec spec, int generation);
  void fork_child(Child& child);
  void back_off(Child& child);
  static void look_for_life_at(Child& child, Deadline next);
  void dismiss(Child& child);
  void stop(Child& child, const Escalation& escalation, AfterStop after = AfterStop::is_gone);
  void take_others_along(const Child& dead);
  static bool too_intense(Generation& generation);
  void give_up(int generation, std::string reason);
  void start_whose_turn_it_is();
  void stop_whose_turn_it_is();
  void read_report(Child& child);
  void collect(Child& child);
  void abandon_generation(std::string reason);
  void fail_generation(std::string reason);
  void complete_generation();
  int newest_generation() const noexcept { return starting_ ? starting_->number : current_; }
  int free_slot() const;
  Child* child_with(pid_t pid) noexcept;
  std::vector<Stranger> take_strangers();
  void tell_of_orphans();
  void report(SupervisorEvent::Kind kind, const Child& child, std::string reason = {});
  void report(SupervisorEvent::Kind kind, int generation, std::string reason = {});
  void remove_ended();
  void set_timer();
  void update_status();
  void settle();

  EventHandler on_event_;
  int most_children_;
  Loop loop_;
  Timer timer_;  // the earliest thing due, or now when there are events to tell
  Loop::Watch timer_watch_;
  std::optional<SignalSource> child_signals_;  // while orphans are adopted
  std::optional<Loop::Watch> child_signals_watch_;
  UniqueFd life_reader_;
  UniqueFd life_writer_;
  std::optional<SupervisorStatusWriter> status_;  // outlives the children: it removes its name
  std::vector<std::unique_ptr<Child>> children_;  // oldest first
  std::map<int, Generation> generations_;         // by number: those with children, and the newest
  std::deque<SupervisorEvent> events_;
  int last_generation_ = 0;
  int current_ = 0;
  std::optional<StartingGeneration> starting_;
};

}  // namespace procpool::proc
