#include "proc/supervisor.hpp"

#include <fcntl.h>
#include <limits.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <exception>
#include <ranges>
#include <set>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/pipe.hpp"
#include "ipc/shared.hpp"
#include "proc/detail/move_above.hpp"

namespace procpool::proc {
namespace {

using Kind = SupervisorEvent::Kind;
using std::chrono::milliseconds;

// What goes down the readiness pipe: one of these, and the reason after kFailed. A write of at most
// PIPE_BUF comes whole.
constexpr char kReady = 'R';
constexpr char kFailed = 'F';

constexpr int kNoSlot = -1;

milliseconds since(Deadline::Clock::time_point start) {
  return std::chrono::floor<milliseconds>(Deadline::Clock::now() - start);
}

bool is_restarted(RestartType type, bool normal_end) {
  return type == RestartType::permanent || (type == RestartType::transient && !normal_end);
}

// Unreaped, so that its pid is its own.
std::string name_of_zombie(pid_t pid) {
  try {
    std::string name = read_file("/proc/" + std::to_string(pid) + "/comm");
    name.erase(std::min(name.find('\n'), name.size()));
    return name;
  } catch (const Error&) {
    return {};  // no /proc
  }
}

// When a child was last alive, in ticks of the steady clock: in memory that it shares with the
// supervisor.
using SignOfLife = std::atomic<Deadline::Clock::rep>;

Deadline::Clock::rep ticks_now() {
  return Deadline::Clock::now().time_since_epoch().count();
}

}  // namespace

// One process of a child. What it watches goes before what it owns.
struct Run {
  using Callback = Loop::Watch::Callback;
  Run(Process its_process, UniqueFd its_readiness, Loop& loop, Callback on_end, Callback on_report)
      : process{std::move(its_process)},
        readiness{std::move(its_readiness)},
        end{loop, process.fd(), Interest::read, std::move(on_end)},
        report{std::in_place, loop, readiness.fd(), Interest::read, std::move(on_report)} {}

  Process process;
  UniqueFd readiness;
  Loop::Watch end;
  std::optional<Loop::Watch> report;  // until all is said
};

struct Supervisor::Child {
  Child(ChildSpec its_spec, int its_generation)
      : spec{std::move(its_spec)}, generation{its_generation} {}

  ChildSpec spec;
  int generation;
  ChildState state = ChildState::idle;
  Deadline due = Deadline::never();  // when Event::due comes

  std::optional<ipc::Shared<SignOfLife>> life{};  // of its process, if it has a watchdog
  Deadline::Clock::time_point next_look{};        // for a sign of it
  int restarts = 0;
  std::time_t since = std::time(nullptr);  // in this state

  std::unique_ptr<Run> run{};  // while there is a process
  int slot = kNoSlot;
  Deadline::Clock::time_point started{};
  std::string reason{};  // why it is not going to be ready
  std::optional<ExitStatus> status{};

  std::vector<milliseconds> lives{};  // see RestartPolicy

  Escalation escalation{};
  std::size_t next_step = 0;
  AfterStop after_stop = AfterStop::is_gone;

  bool is_being_stopped() const noexcept {
    return state == ChildState::stopping || state == ChildState::stop_pending;
  }
  bool is_leaving() const noexcept {
    return is_being_stopped() && after_stop == AfterStop::is_gone;
  }
  bool is_coming_back() const noexcept {  // and is not even idle yet
    return state == ChildState::backing_off || (is_being_stopped() && !is_leaving());
  }

  void lose_process() noexcept {
    run.reset();
    life.reset();
    slot = kNoSlot;
  }
};

// clang-format off
const Supervisor::Action Supervisor::kActions[][5] = {
  //                turn                       ready                    exited                    stop                             due
  /* idle */        {&Supervisor::start_child, &Supervisor::nothing,    &Supervisor::nothing,     &Supervisor::drop,               &Supervisor::nothing},
  /* starting */    {&Supervisor::nothing,     &Supervisor::be_ready,   &Supervisor::fail_start,  &Supervisor::await_turn_to_stop, &Supervisor::kill_unready},
  /* running */     {&Supervisor::nothing,     &Supervisor::nothing,    &Supervisor::replace,     &Supervisor::await_turn_to_stop, &Supervisor::look_for_life},
  /* stop_pending */{&Supervisor::begin_stop,  &Supervisor::nothing,    &Supervisor::finish,      &Supervisor::nothing,            &Supervisor::nothing},
  /* stopping */    {&Supervisor::nothing,     &Supervisor::nothing,    &Supervisor::finish,      &Supervisor::begin_stop,         &Supervisor::next_stop_step},
  /* backing_off */ {&Supervisor::nothing,     &Supervisor::nothing,    &Supervisor::nothing,     &Supervisor::forget,             &Supervisor::await_turn},
  /* ended */       {&Supervisor::nothing,     &Supervisor::nothing,    &Supervisor::nothing,     &Supervisor::nothing,            &Supervisor::nothing},
};
// clang-format on

void Supervisor::handle(Child& child, Event event) {
  const ChildState before = child.state;
  const Action action = kActions[static_cast<std::size_t>(before)][static_cast<std::size_t>(event)];
  (this->*action)(child);
  if (child.state != before) child.since = std::time(nullptr);
}

// The actions.

void Supervisor::nothing(Child&) {}

void Supervisor::start_child(Child& child) {
  child.started = Deadline::Clock::now();
  child.status.reset();
  child.reason.clear();
  child.after_stop = AfterStop::is_gone;
  child.state = ChildState::starting;
  try {
    fork_child(child);
  } catch (const Error& error) {
    child.reason = error.what();
    fail_start(child);
    return;
  }
  child.due = Deadline::after(child.started, child.spec.ready_within);
  report(Kind::started, child);
}

void Supervisor::be_ready(Child& child) {
  child.state = ChildState::running;
  child.due = Deadline::never();
  if (child.life) {
    (*child.life)->store(ticks_now(), std::memory_order_relaxed);
    look_for_life_at(child, Deadline::in(*child.spec.alive_within));
  }
  report(Kind::ready, child);
  complete_generation();
}

// Its end is then an end before it was ready.
void Supervisor::kill_unready(Child& child) {
  const std::string limit = std::to_string(child.spec.ready_within.count()) + " ms";
  child.reason = "not ready within " + limit + (child.reason.empty() ? "" : ": " + child.reason);
  child.run->process.signal(SIGKILL);
}

void Supervisor::fail_start(Child& child) {
  if (child.reason.empty()) child.reason = "ended before it was ready";
  report(Kind::start_failed, child, child.reason);
  if (starting_ && starting_->number == child.generation) {
    child.state = ChildState::ended;
    fail_generation(child.spec.name + ": " + child.reason);
  } else if (child.spec.restart_type == RestartType::temporary) {
    dismiss(child);
  } else {
    back_off(child);
  }
}

void Supervisor::replace(Child& child) {
  report(Kind::exited, child, child.reason);
  const bool normal = child.status->success() && child.after_stop != AfterStop::is_replaced;
  if (is_restarted(child.spec.restart_type, normal)) {
    back_off(child);
  } else {
    dismiss(child);
  }
}

// If this look comes a whole interval late, the child may have been kept from running as we were.
void Supervisor::look_for_life(Child& child) {
  const milliseconds limit = *child.spec.alive_within;
  const Deadline::Clock::time_point last_sign{
      Deadline::Clock::duration{child.life->get()->load(std::memory_order_relaxed)}};
  const bool late = Deadline::after(child.next_look, limit).expired();
  const Deadline next = late ? Deadline::in(limit) : Deadline::after(last_sign, limit);
  if (!next.expired()) return look_for_life_at(child, next);

  child.reason = "no sign of life within " + std::to_string(limit.count()) + " ms";
  report(Kind::unresponsive, child, child.reason);
  stop(child, child.spec.stop, AfterStop::is_replaced);
}

void Supervisor::await_turn(Child& child) {
  child.state = ChildState::idle;
}

void Supervisor::await_turn_to_stop(Child& child) {
  child.state = ChildState::stop_pending;
}

void Supervisor::begin_stop(Child& child) {
  if (child.state != ChildState::stopping) report(Kind::retiring, child);
  child.state = ChildState::stopping;
  next_stop_step(child);
}

void Supervisor::next_stop_step(Child& child) {
  if (child.next_step == child.escalation.size()) return;
  const EscalationStep& step = child.escalation[child.next_step++];
  child.run->process.take(step);
  if (child.next_step < child.escalation.size()) child.due = Deadline::in(step.grace);
}

void Supervisor::finish(Child& child) {
  if (child.after_stop == AfterStop::is_replaced) return replace(child);
  report(Kind::ended, child);
  if (child.after_stop == AfterStop::starts_again) {
    child.lose_process();
    ++child.restarts;
    await_turn(child);
  } else {
    child.state = ChildState::ended;
  }
}

void Supervisor::forget(Child& child) {
  report(Kind::ended, child);
  child.state = ChildState::ended;
}

void Supervisor::drop(Child& child) {
  child.state = ChildState::ended;
}

// What the actions are made of.

void Supervisor::look_for_life_at(Child& child, Deadline next) {
  child.next_look = next.time();
  child.due = next;
}

void Supervisor::fork_child(Child& child) {
  child.slot = free_slot();
  auto [reader, end] = ipc::make_pipe();
  set_blocking(reader.fd(), Blocking::no);

  // The child's own descriptors, out of the way of what its redirections put there.
  const int floor = detail::first_free_of(child.spec.options.redirections);
  UniqueFd writer = detail::move_above(end.release(), floor);
  const UniqueFd life{::fcntl(life_reader_.fd(), F_DUPFD_CLOEXEC, floor)};
  if (!life.valid()) throw_errno("fcntl(F_DUPFD_CLOEXEC)", "life pipe");

  if (child.spec.alive_within) child.life.emplace();

  ChildOptions options = child.spec.options;
  if (options.name.empty()) options.name = child.spec.name;
  auto& keep = options.keep_only ? *options.keep_only : options.keep_only.emplace();
  keep.push_back(writer.fd());
  keep.push_back(life.fd());

  Process process = Process::fork(
      [&] {
        ChildContext context;
        context.readiness_ = std::move(writer);
        context.life_fd_ = life.fd();
        context.slot_ = child.slot;
        context.generation_ = child.generation;
        context.alive_within_ = child.spec.alive_within;
        if (child.life) context.last_sign_of_life_ = child.life->get();
        try {
          return child.spec.body(context);
        } catch (const std::exception& error) {
          context.fail(error.what());
          throw;
        }
      },
      options);
  child.run = std::make_unique<Run>(
      std::move(process), reader.release(), loop_, [this, &child](auto&) { collect(child); },
      [this, &child](auto&) { read_report(child); });
}

void Supervisor::back_off(Child& child) {
  child.lose_process();

  auto& lives = child.lives;
  lives.push_back(since(child.started));
  if (lives.size() > child.spec.restart.memory()) lives.erase(lives.begin());
  const auto delay = child.spec.restart.delay_after(lives);
  Generation& generation = generations_[child.generation];
  if (!delay) {
    report(Kind::gave_up, child);
    child.state = ChildState::ended;
    if (generation.policy.strategy != Strategy::one_for_one) {
      give_up(child.generation, child.spec.name + " fails too often");
    }
    return;
  }
  if (too_intense(generation)) {
    child.state = ChildState::ended;
    give_up(child.generation, child.spec.name + " ended: too many restarts");
    return;
  }
  child.state = ChildState::backing_off;
  child.due = Deadline::in(*delay);
  ++child.restarts;
  report(Kind::backing_off, child);
  events_.back().delay = *delay;
  take_others_along(child);
}

void Supervisor::dismiss(Child& child) {
  report(Kind::not_restarted, child);
  child.state = ChildState::ended;
}

void Supervisor::stop(Child& child, const Escalation& escalation, AfterStop after) {
  child.after_stop = after;
  child.escalation = escalation;
  child.next_step = 0;
  child.due = Deadline::never();
  handle(child, Event::stop);
}

void Supervisor::take_others_along(const Child& dead) {
  const Strategy strategy = generations_[dead.generation].policy.strategy;
  if (strategy == Strategy::one_for_one) return;
  bool after = false;
  for (const auto& child : children_) {
    if (child.get() == &dead) after = true;
    if (child->generation != dead.generation) continue;
    if (strategy == Strategy::rest_for_one && !after) continue;
    if (child->state != ChildState::starting && child->state != ChildState::running) continue;
    const bool temporary = child->spec.restart_type == RestartType::temporary;
    stop(*child, child->spec.stop, temporary ? AfterStop::is_gone : AfterStop::starts_again);
  }
}

// One restart more, now.
bool Supervisor::too_intense(Generation& generation) {
  const auto& intensity = generation.policy.intensity;
  if (!intensity) return false;
  auto& restarts = generation.restarts;
  const auto now = Deadline::Clock::now();
  restarts.push_back(now);
  while (now - restarts.front() > intensity->within) restarts.pop_front();
  return restarts.size() > static_cast<std::size_t>(std::max(intensity->at_most, 0));
}

void Supervisor::give_up(int generation, std::string reason) {
  if (starting_ && starting_->number == generation) return fail_generation(std::move(reason));
  generations_[generation].gave_up = true;
  report(Kind::generation_gave_up, generation, std::move(reason));
  for (const auto& child : children_) {
    if (child->generation == generation && !child->is_leaving()) stop(*child, child->spec.stop);
  }
}

// With another strategy than one_for_one the restart of many is one: nobody starts before all are
// gone that come back, and the delay is over.
void Supervisor::start_whose_turn_it_is() {
  for (const auto& [number, generation] : generations_) {
    const bool as_one = generation.policy.strategy != Strategy::one_for_one;
    const bool one_by_one = generation.policy.order == StartOrder::one_by_one;
    const auto comes_back = [&, of = number](const auto& child) {
      return child->generation == of && child->is_coming_back();
    };
    if (as_one && std::any_of(children_.begin(), children_.end(), comes_back)) continue;
    for (const auto& child : children_) {
      if (child->generation != number) continue;
      if (child->state == ChildState::idle) handle(*child, Event::turn);
      const bool unready = child->state == ChildState::starting;
      if ((one_by_one && unready) || (as_one && child->is_coming_back())) break;
    }
  }
}

void Supervisor::stop_whose_turn_it_is() {
  for (const auto& [number, generation] : generations_) {
    const bool one_by_one = generation.policy.order == StartOrder::one_by_one;
    for (const auto& child : children_ | std::views::reverse) {
      if (child->generation != number) continue;
      if (child->state == ChildState::stop_pending) handle(*child, Event::turn);
      if (one_by_one && child->is_being_stopped()) break;
    }
  }
}

void Supervisor::read_report(Child& child) {
  std::array<char, PIPE_BUF> text;
  const int fd = child.run->readiness.fd();
  const ssize_t n = retry_eintr([&] { return ::read(fd, text.data(), text.size()); });
  if (n < 0 && errno == EAGAIN) return;
  child.run->report.reset();
  if (n <= 0) return;
  if (text.front() == kReady) {
    handle(child, Event::ready);
  } else if (text.front() == kFailed) {
    child.reason.assign(text.data() + 1, static_cast<std::size_t>(n) - 1);
  }
}

// What it said before it ended counts.
void Supervisor::collect(Child& child) {
  if (child.run->report) read_report(child);
  child.status = child.run->process.try_wait();
  if (child.status) handle(child, Event::exited);
}

void Supervisor::abandon_generation(std::string reason) {
  const int number = starting_->number;
  starting_.reset();
  report(Kind::generation_failed, number, std::move(reason));
}

// Those that are ready may be serving already: they end as the older ones would have.
void Supervisor::fail_generation(std::string reason) {
  const int number = starting_->number;
  const Escalation retire = std::move(starting_->retire_old);
  abandon_generation(std::move(reason));
  for (const auto& child : children_) {
    if (child->generation != number) continue;
    const bool ready = child->state == ChildState::running;
    stop(*child, ready ? retire : Escalation{{SIGKILL, kForever}});
  }
}

void Supervisor::complete_generation() {
  if (!starting_) return;
  const int number = starting_->number;
  const auto still_starting = [&](const auto& child) {
    return child->generation == number && child->state != ChildState::running &&
           child->state != ChildState::ended && !child->is_leaving();
  };
  if (std::any_of(children_.begin(), children_.end(), still_starting)) return;

  const Escalation retire_old = std::move(starting_->retire_old);
  starting_.reset();
  current_ = number;
  report(Kind::generation_ready, number);
  for (const auto& child : children_) {
    if (child->generation < number && !child->is_leaving()) stop(*child, retire_old);
  }
}

int Supervisor::free_slot() const {
  std::vector<bool> taken(children_.size() + 1);
  for (const auto& child : children_) {
    if (child->run) taken[static_cast<std::size_t>(child->slot)] = true;
  }
  const auto slot = std::find(taken.begin(), taken.end(), false) - taken.begin();
  if (slot >= most_children_) {
    throw Error{"fork", {}, "all " + std::to_string(most_children_) + " slots are taken"};
  }
  return static_cast<int>(slot);
}

Supervisor::Child* Supervisor::child_with(pid_t pid) noexcept {
  const auto found = std::find_if(children_.begin(), children_.end(), [&](const auto& child) {
    return child->run && !child->status && child->run->process.pid() == pid;
  });
  return found == children_.end() ? nullptr : found->get();
}

void Supervisor::report(Kind kind, const Child& child, std::string reason) {
  events_.push_back({.kind = kind,
                     .name = child.spec.name,
                     .pid = child.run ? child.run->process.pid() : 0,
                     .slot = child.run ? child.slot : kNoSlot,
                     .generation = child.generation,
                     .status = child.status,
                     .reason = std::move(reason)});
}

void Supervisor::report(Kind kind, int generation, std::string reason) {
  events_.push_back({.kind = kind, .generation = generation, .reason = std::move(reason)});
}

void Supervisor::remove_ended() {
  std::set<int> gone;
  std::erase_if(children_, [&](const auto& child) {
    if (child->state != ChildState::ended) return false;
    gone.insert(child->generation);
    return true;
  });
  std::set<int> living{newest_generation()};
  for (const auto& child : children_) {
    gone.erase(child->generation);
    living.insert(child->generation);
  }
  for (const int generation : gone) report(Kind::generation_gone, generation);
  std::erase_if(generations_, [&](const auto& entry) { return !living.contains(entry.first); });
}

void Supervisor::set_timer() {
  Deadline next = events_.empty() ? Deadline::never() : Deadline::now();
  for (const auto& child : children_) next = std::min(next, child->due);
  timer_.set(next);
}

void Supervisor::update_status() {
  if (!status_) return;
  SupervisorStatus status{
      .generation = current_, .gave_up = gave_up(), .total = children_.size(), .children = {}};
  for (const auto& child : children_) {
    if (status.children.size() == SupervisorStatus::kMostShown) break;
    status.children.push_back({.name = child->spec.name,
                               .pid = child->run ? child->run->process.pid() : 0,
                               .slot = child->slot,
                               .generation = child->generation,
                               .state = child->state,
                               .restarts = child->restarts,
                               .since = child->since});
  }
  status_->show(status);
}

void Supervisor::settle() {
  complete_generation();
  start_whose_turn_it_is();
  stop_whose_turn_it_is();
  remove_ended();
  update_status();
  set_timer();
}

// The interface.

Supervisor::Supervisor(EventHandler on_event, int most_children)
    : on_event_{std::move(on_event)},
      most_children_{most_children},
      timer_watch_{loop_, timer_.fd(), Interest::read, [&](auto&) { timer_.try_take(); }} {
  auto [reader, writer] = ipc::make_pipe();
  life_reader_ = reader.release();
  life_writer_ = writer.release();
}

Supervisor::~Supervisor() = default;

void Supervisor::make_child(ChildSpec spec, int generation) {
  generations_.try_emplace(generation);
  children_.push_back(std::make_unique<Child>(std::move(spec), generation));
}

int Supervisor::start_generation(std::vector<ChildSpec> children, Escalation retire_old,
                                 GenerationPolicy policy) {
  const int number = ++last_generation_;
  if (starting_) fail_generation("replaced by generation " + std::to_string(number));
  starting_ = {.number = number, .retire_old = std::move(retire_old)};
  generations_[number].policy = policy;
  for (ChildSpec& spec : children) make_child(std::move(spec), number);
  settle();
  return number;
}

void Supervisor::add(ChildSpec child) {
  make_child(std::move(child), newest_generation());
  settle();
}

void Supervisor::retire_one(const Escalation& escalation) {
  const auto newest = std::find_if(children_.rbegin(), children_.rend(), [&](const auto& child) {
    return child->generation == newest_generation() && !child->is_leaving();
  });
  if (newest == children_.rend()) return;
  stop(**newest, escalation);
  settle();
}

void Supervisor::retire_all(const Escalation& escalation) {
  if (starting_) abandon_generation("told to stop before it was ready");
  for (const auto& child : children_) {
    if (!child->is_leaving()) stop(*child, escalation);
  }
  settle();
}

void Supervisor::stop_all(const Escalation& escalation) {
  if (starting_) abandon_generation("told to stop before it was ready");
  for (const auto& child : children_) stop(*child, escalation);
  settle();
}

void Supervisor::show_status(const std::string& name) {
  status_.emplace(name);
  update_status();
}

bool Supervisor::gave_up() const noexcept {
  const auto current = generations_.find(current_);
  return current != generations_.end() && current->second.gave_up;
}

void Supervisor::stop_all() {
  if (starting_) abandon_generation("told to stop before it was ready");
  for (const auto& child : children_) stop(*child, child->spec.stop);
  settle();
}

void Supervisor::signal_children(int signal_number) {
  for (const auto& child : children_) {
    if (child->run) child->run->process.signal(signal_number);
  }
}

std::vector<ChildView> Supervisor::children() const {
  std::vector<ChildView> views;
  views.reserve(children_.size());
  for (const auto& child : children_) {
    views.push_back({.name = child->spec.name,
                     .slot = child->run ? child->slot : kNoSlot,
                     .pid = child->run ? child->run->process.pid() : 0,
                     .generation = child->generation,
                     .state = child->state,
                     .started = child->started,
                     .restarts = child->restarts});
  }
  return views;
}

void Supervisor::step() {
  loop_.run_once(Deadline::now());
  for (const auto& child : children_) {
    if (!child->due.expired()) continue;
    child->due = Deadline::never();
    handle(*child, Event::due);
  }
  settle();
  while (!events_.empty()) {
    const SupervisorEvent event = std::move(events_.front());
    events_.pop_front();
    on_event_(event);
  }
  set_timer();
}

std::vector<Supervisor::Stranger> Supervisor::take_strangers() {
  std::vector<Stranger> strangers;
  for (;;) {
    // The kernel may name the same one again and again: whoever is named is reaped before we go on.
    siginfo_t info{};
    const int looked = ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL);
    if (looked != 0 || info.si_pid == 0) break;
    if (Child* own = child_with(info.si_pid)) {
      collect(*own);
      continue;
    }
    std::string name = name_of_zombie(info.si_pid);
    const auto id = static_cast<id_t>(info.si_pid);
    if (::waitid(P_PID, id, &info, WEXITED | WNOHANG | __WALL) == 0) {
      strangers.push_back({info.si_pid, std::move(name), ExitStatus::from_siginfo(info)});
    }
  }
  return strangers;
}

void Supervisor::tell_of_orphans() {
  for (Stranger& orphan : take_strangers()) {
    events_.push_back({.kind = Kind::orphan_ended,
                       .name = std::move(orphan.name),
                       .pid = orphan.pid,
                       .status = orphan.status});
  }
}

std::vector<Supervisor::Stranger> Supervisor::reap_strangers() {
  auto strangers = take_strangers();
  settle();
  return strangers;
}

void Supervisor::adopt_orphans() {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) throw_errno("prctl(PR_SET_CHILD_SUBREAPER)");
  child_signals_.emplace(SignalSet{SIGCHLD});
  child_signals_watch_.emplace(loop_, child_signals_->fd(), Interest::read, [this](auto&) {
    while (child_signals_->try_next()) continue;
    tell_of_orphans();
  });
  tell_of_orphans();  // of those whose signal came before
  settle();
}

// In the child.

void ChildContext::ready() {
  if (!readiness_.valid()) return;
  // If nobody is there to read it, life_fd() says so.
  [[maybe_unused]] const ssize_t n = ::write(readiness_.fd(), &kReady, 1);
  readiness_.reset();
}

void ChildContext::alive() noexcept {
  if (last_sign_of_life_ != nullptr) {
    last_sign_of_life_->store(ticks_now(), std::memory_order_relaxed);
  }
}

void ChildContext::fail(std::string_view reason) {
  if (!readiness_.valid()) return;
  std::string text{kFailed};
  text.append(reason.substr(0, PIPE_BUF - 1));
  [[maybe_unused]] const ssize_t n = ::write(readiness_.fd(), text.data(), text.size());
  readiness_.reset();
}

// Words.

std::string_view name_of(Kind kind) noexcept {
  constexpr std::array<std::string_view, 15> kNames{"started",
                                                    "ready",
                                                    "start_failed",
                                                    "unresponsive",
                                                    "exited",
                                                    "backing_off",
                                                    "gave_up",
                                                    "not_restarted",
                                                    "retiring",
                                                    "ended",
                                                    "generation_ready",
                                                    "generation_failed",
                                                    "generation_gave_up",
                                                    "generation_gone",
                                                    "orphan_ended"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string SupervisorEvent::text() const {
  const std::string number = std::to_string(generation);
  if (kind == Kind::generation_ready) return "generation " + number + ": ready";
  if (kind == Kind::generation_failed) return "generation " + number + ": failed: " + reason;
  if (kind == Kind::generation_gave_up) return "generation " + number + ": gave up: " + reason;
  if (kind == Kind::generation_gone) return "generation " + number + ": gone";

  if (kind == Kind::orphan_ended) {
    return name + " (process " + std::to_string(pid) + ", an orphan): " + status->text();
  }

  std::string line = name;
  if (pid != 0) {
    line += " (process " + std::to_string(pid) + ", slot " + std::to_string(slot) + ")";
  }
  line += ": ";
  switch (kind) {
    case Kind::start_failed:
      return line + "failed to start: " + reason + (status ? ", " + status->text() : "");
    case Kind::exited:
      return line + status->text() + (reason.empty() ? "" : " (" + reason + ")");
    case Kind::ended:
      return line + (status ? status->text() : "was not running");
    case Kind::unresponsive:
      return line + reason;
    case Kind::backing_off:
      return line + "starts again " +
             (delay.count() == 0 ? "at once" : "in " + std::to_string(delay.count()) + " ms");
    case Kind::gave_up:
      return line + "fails too often, and is not started again";
    case Kind::not_restarted:
      return line + "is not started again";
    case Kind::retiring:
      return line + "told to stop";
    default:
      return line.append(name_of(kind));
  }
}

}  // namespace procpool::proc
