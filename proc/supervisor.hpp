// Keeps a set of forked children running, and replaces the set as a whole.
//
//   Supervisor supervisor{[](const SupervisorEvent& event) { log(event.text()); }};
//   std::vector<ChildSpec> workers(4, {.name = "worker", .body = serve});
//   supervisor.start_generation(workers, {{SIGTERM, 30s}, {SIGKILL, kForever}});
//   Loop::Watch watch{loop, supervisor.fd(), Interest::read, [&](auto&) { supervisor.step(); }};
//
//   int serve(ChildContext& context) { open_all(); context.ready(); return serve_until_told(); }
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ipc/base/deadline.hpp"
#include "ipc/base/loop.hpp"
#include "ipc/base/unique_fd.hpp"
#include "proc/child_context.hpp"
#include "proc/child_spec.hpp"
#include "proc/child_view.hpp"
#include "proc/escalation.hpp"
#include "proc/generation_policy.hpp"
#include "proc/offspring.hpp"
#include "proc/signal_source.hpp"
#include "proc/stranger.hpp"
#include "proc/supervisor_event.hpp"
#include "proc/supervisor_status.hpp"
#include "proc/timer.hpp"

namespace procpool::proc {

namespace detail {
class ChildTable;
struct SupervisedChild;
enum class AfterStop : std::uint8_t;
}  // namespace detail

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

  // What another program in this process needs to go on with these children. Throws Error (EMFILE).
  Offspring offspring() const;

  // Goes on with children that this process had before it executed this program (execve(2)), before
  // any other is started. They run, in slots and generations of their own; they are not restarted,
  // and retired when the first generation that is started here is ready, whose number follows
  // theirs. Those that were not ready yet, or were retiring, count as running. Throws Error.
  void adopt(Offspring offspring);

  // One more in the newest generation: the one that is starting if there is one, else the current.
  void add(ChildSpec child);

  // The newest child of the newest generation that is not retiring yet; nothing if there is none.
  void retire_one(const Escalation& escalation);

  // Starts a successor of this running child, one more like it in its generation, and retires the
  // child when that is ready; if that is given up, the child stays. One renewal at a time: false if
  // one is under way, and if no child with this process runs.
  bool renew(pid_t pid, const Escalation& retire_old);
  bool renewing() const noexcept { return renewal_.has_value(); }

  // Ends this running child and starts it again: for one that cannot wait for a successor. False:
  // no child with this process runs.
  bool restart(pid_t pid, const Escalation& escalation);

  // Of a generation that retires already: its children are told anew.
  void hurry_generation(int generation, const Escalation& escalation);

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
  bool empty() const noexcept;
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
  std::vector<Stranger> reap_strangers();

 private:
  using Child = detail::SupervisedChild;
  using AfterStop = detail::AfterStop;
  enum class Event : std::uint8_t { turn, ready, exited, stop, due };
  using Action = void (Supervisor::*)(Child&);
  static const Action kActions[][5];  // [ChildState][Event]

  struct Generation {
    GenerationPolicy policy{};
    std::deque<Deadline::Clock::time_point> restarts{};  // those that policy.intensity looks at
    bool gave_up = false;

    bool is_one_restart_too_many(Deadline::Clock::time_point now);
  };

  struct StartingGeneration {
    int number;
    Escalation retire_old;
  };

  struct Renewal {
    Child& old;
    Child& successor;
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
  // What they are made of.
  void fork_child(Child& child);
  static int run_child(const Child& child, UniqueFd readiness, int life_fd);
  void restart(Child& child);
  void back_off(Child& child, std::chrono::milliseconds delay);
  void give_up_child(Child& child);
  void dismiss(Child& child);
  void stop(Child& child, const Escalation& escalation, AfterStop after);
  void stop_for_good(Child& child, const Escalation& escalation);
  void take_others_along(const Child& dead);
  int free_slot() const;

  void read_report(Child& child);
  void collect(Child& child);

  int newest_generation() const noexcept { return starting_ ? starting_->number : current_; }
  Child& make_child(ChildSpec spec, int generation);
  void complete_generation();
  void abandon_generation(std::string reason);
  void fail_generation(std::string reason);
  void give_up(int generation, std::string reason);

  void settle();
  void continue_renewal();
  void take_turns();
  void remove_ended();
  void update_status();
  void set_timer();
  std::vector<Stranger> take_strangers();
  void tell_of_orphans();
  void report(SupervisorEvent::Kind kind, const Child& child, std::string reason = {});
  void report(SupervisorEvent::Kind kind, int generation, std::string reason = {});

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
  std::unique_ptr<detail::ChildTable> children_;
  std::map<int, Generation> generations_;  // by number: those with children, and the newest
  std::deque<SupervisorEvent> events_;
  int last_generation_ = 0;
  int current_ = 0;
  std::optional<StartingGeneration> starting_;
  std::optional<Renewal> renewal_;
};

}  // namespace procpool::proc
