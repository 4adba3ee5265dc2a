#include "proc/supervisor.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <exception>
#include <set>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/pipe.hpp"
#include "proc/detail/child_order.hpp"
#include "proc/detail/child_table.hpp"
#include "proc/detail/move_above.hpp"
#include "proc/detail/readiness.hpp"
#include "proc/detail/supervised_child.hpp"

namespace procpool::proc {
namespace {

using Kind = SupervisorEvent::Kind;
using std::chrono::milliseconds;

bool is_restarted(RestartType type, bool normal_end) {
  return type == RestartType::permanent || (type == RestartType::transient && !normal_end);
}

void look_for_life_at(detail::SupervisedChild& child, Deadline next) {
  child.next_look = next.time();
  child.due = next;
}

// How long its run has lasted that has just ended is remembered as far as it matters.
std::optional<milliseconds> delay_of_next_start(detail::SupervisedChild& child) {
  auto& lives = child.lives;
  lives.push_back(std::chrono::floor<milliseconds>(Deadline::Clock::now() - child.started));
  if (lives.size() > child.spec.restart.memory()) lives.erase(lives.begin());
  return child.spec.restart.delay_after(lives);
}

}  // namespace

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
    (*child.life)->give();
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
    restart(child);
  }
}

void Supervisor::replace(Child& child) {
  report(Kind::exited, child, child.reason);
  const bool normal = child.status->success() && child.after_stop != AfterStop::is_replaced;
  if (is_restarted(child.spec.restart_type, normal)) {
    restart(child);
  } else {
    dismiss(child);
  }
}

// If this look comes a whole interval late, the child may have been kept from running as we were.
void Supervisor::look_for_life(Child& child) {
  const milliseconds limit = *child.spec.alive_within;
  const bool late = Deadline::after(child.next_look, limit).expired();
  const Deadline next = late ? Deadline::in(limit) : Deadline::after((*child.life)->last(), limit);
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
  if (child.spec.before_fork) child.spec.before_fork(options, child.slot);

  Process process =
      Process::fork([&] { return run_child(child, std::move(writer), life.fd()); }, options);
  child.run = std::make_unique<Child::Run>(
      std::move(process), reader.release(), loop_, [this, &child](auto&) { collect(child); },
      [this, &child](auto&) { read_report(child); });
}

// In the child.
int Supervisor::run_child(const Child& child, UniqueFd readiness, int life_fd) {
  ChildContext context;
  context.readiness_ = std::move(readiness);
  context.life_fd_ = life_fd;
  context.slot_ = child.slot;
  context.generation_ = child.generation;
  context.alive_within_ = child.spec.alive_within;
  if (child.life) context.life_ = child.life->get();
  try {
    return child.spec.body(context);
  } catch (const std::exception& error) {
    context.fail(error.what());
    throw;
  }
}

void Supervisor::restart(Child& child) {
  child.lose_process();
  const auto delay = delay_of_next_start(child);
  if (!delay) return give_up_child(child);
  if (generations_[child.generation].is_one_restart_too_many(Deadline::Clock::now())) {
    child.state = ChildState::ended;
    return give_up(child.generation, child.spec.name + " ended: too many restarts");
  }
  back_off(child, *delay);
  take_others_along(child);
}

void Supervisor::back_off(Child& child, milliseconds delay) {
  child.state = ChildState::backing_off;
  child.due = Deadline::in(delay);
  ++child.restarts;
  report(Kind::backing_off, child);
  events_.back().delay = delay;
}

void Supervisor::give_up_child(Child& child) {
  report(Kind::gave_up, child);
  child.state = ChildState::ended;
  if (generations_[child.generation].policy.strategy == Strategy::one_for_one) return;
  give_up(child.generation, child.spec.name + " fails too often");
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

void Supervisor::stop_for_good(Child& child, const Escalation& escalation) {
  stop(child, escalation, AfterStop::is_gone);
}

void Supervisor::take_others_along(const Child& dead) {
  const Strategy strategy = generations_[dead.generation].policy.strategy;
  for (Child* other : detail::taken_along(*children_, dead, strategy)) {
    const bool temporary = other->spec.restart_type == RestartType::temporary;
    stop(*other, other->spec.stop, temporary ? AfterStop::goes_along : AfterStop::starts_again);
  }
}

int Supervisor::free_slot() const {
  const int slot = children_->lowest_free_slot();
  if (slot < most_children_) return slot;
  throw Error{"fork", {}, "all " + std::to_string(most_children_) + " slots are taken"};
}

void Supervisor::read_report(Child& child) {
  const auto said = detail::read_readiness(child.run->readiness.fd());
  if (!said) return;
  child.run->lose_report();
  if (said->kind == detail::Readiness::Kind::ready) handle(child, Event::ready);
  if (said->kind == detail::Readiness::Kind::failed) child.reason = said->reason;
}

// What it said before it ended counts.
void Supervisor::collect(Child& child) {
  if (child.run->report) read_report(child);
  child.status = child.run->process.try_wait();
  if (child.status) handle(child, Event::exited);
}

// The generations.

// Looked at when one restart more comes, now.
bool Supervisor::Generation::is_one_restart_too_many(Deadline::Clock::time_point now) {
  if (!policy.intensity) return false;
  restarts.push_back(now);
  while (now - restarts.front() > policy.intensity->within) restarts.pop_front();
  return restarts.size() > static_cast<std::size_t>(std::max(policy.intensity->at_most, 0));
}

Supervisor::Child& Supervisor::make_child(ChildSpec spec, int generation) {
  generations_.try_emplace(generation);
  return children_->add(std::move(spec), generation);
}

void Supervisor::complete_generation() {
  if (!starting_) return;
  const int number = starting_->number;
  const auto still_starting = [](const Child& child) {
    return child.state != ChildState::running && child.state != ChildState::ended &&
           !child.is_leaving();
  };
  if (std::ranges::any_of(children_->of(number), still_starting)) return;

  const Escalation retire_old = std::move(starting_->retire_old);
  starting_.reset();
  current_ = number;
  report(Kind::generation_ready, number);
  for (Child& child : children_->all()) {
    if (child.generation < number && !child.is_leaving()) stop_for_good(child, retire_old);
  }
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
  for (Child& child : children_->of(number)) {
    const bool ready = child.state == ChildState::running;
    stop_for_good(child, ready ? retire : Escalation{{SIGKILL, kForever}});
  }
}

void Supervisor::give_up(int generation, std::string reason) {
  if (starting_ && starting_->number == generation) return fail_generation(std::move(reason));
  generations_[generation].gave_up = true;
  report(Kind::generation_gave_up, generation, std::move(reason));
  for (Child& child : children_->of(generation)) {
    if (!child.is_leaving()) stop_for_good(child, child.spec.stop);
  }
}

// What follows from whatever has happened.

void Supervisor::settle() {
  complete_generation();
  continue_renewal();
  take_turns();
  remove_ended();
  update_status();
  set_timer();
}

// An old one that has died meanwhile, and is to come back, is retired as well: the successor has
// its place.
void Supervisor::continue_renewal() {
  if (!renewal_) return;
  Child& old = renewal_->old;
  const Child& successor = renewal_->successor;
  if (successor.state == ChildState::running && !old.is_leaving())
    stop_for_good(old, renewal_->retire_old);
  const auto is_going = [](const Child& child) {
    return child.is_leaving() || child.state == ChildState::ended;
  };
  if (is_going(old) || is_going(successor)) renewal_.reset();
}

void Supervisor::take_turns() {
  for (const auto& [number, generation] : generations_) {
    while (Child* next = detail::next_to_start(*children_, number, generation.policy)) {
      handle(*next, Event::turn);
    }
  }
  for (const auto& [number, generation] : generations_) {
    while (Child* next = detail::next_to_stop(*children_, number, generation.policy)) {
      handle(*next, Event::turn);
    }
  }
}

void Supervisor::remove_ended() {
  continue_renewal();  // it knows nobody that is removed
  for (const int generation : children_->remove_ended()) report(Kind::generation_gone, generation);
  std::erase_if(generations_, [&](const auto& entry) {
    return entry.first != newest_generation() && children_->of(entry.first).empty();
  });
}

void Supervisor::update_status() {
  if (!status_) return;
  status_->show({.generation = current_,
                 .gave_up = gave_up(),
                 .total = children_->size(),
                 .children = children_->shown()});
}

void Supervisor::set_timer() {
  timer_.set(events_.empty() ? children_->next_due() : Deadline::now());
}

void Supervisor::report(Kind kind, const Child& child, std::string reason) {
  events_.push_back({.kind = kind,
                     .name = child.spec.name,
                     .pid = child.pid(),
                     .slot = child.run ? child.slot : detail::kNoSlot,
                     .generation = child.generation,
                     .status = child.status,
                     .reason = std::move(reason)});
}

void Supervisor::report(Kind kind, int generation, std::string reason) {
  events_.push_back({.kind = kind, .generation = generation, .reason = std::move(reason)});
}

// The interface.

Supervisor::Supervisor(EventHandler on_event, int most_children)
    : on_event_{std::move(on_event)},
      most_children_{most_children},
      timer_watch_{loop_, timer_.fd(), Interest::read, [&](auto&) { timer_.try_take(); }},
      children_{std::make_unique<detail::ChildTable>()} {
  auto [reader, writer] = ipc::make_pipe();
  life_reader_ = reader.release();
  life_writer_ = writer.release();
}

Supervisor::~Supervisor() = default;

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

Offspring Supervisor::offspring() const {
  const auto copy = [](const UniqueFd& fd) {
    UniqueFd copied{::fcntl(fd.fd(), F_DUPFD_CLOEXEC, 0)};
    if (!copied.valid()) throw_errno("fcntl(F_DUPFD_CLOEXEC)", "life pipe");
    return copied;
  };
  Offspring all{.generation = last_generation_,
                .life_reader = copy(life_reader_),
                .life_writer = copy(life_writer_)};
  for (const Child& child : children_->all()) {
    if (child.run)
      all.children.push_back({.name = child.spec.name,
                              .pid = child.pid(),
                              .slot = child.slot,
                              .generation = child.generation});
  }
  return all;
}

// Of what they would say nothing is heard any more: they say it into a pipe of the program before.
void Supervisor::adopt(Offspring offspring) {
  life_reader_ = std::move(offspring.life_reader);
  life_writer_ = std::move(offspring.life_writer);
  last_generation_ = offspring.generation;
  for (const auto& [name, pid, slot, generation] : offspring.children) {
    auto process = Process::adopt(pid, name);
    if (!process) continue;
    Child& child = make_child({.name = name, .restart_type = RestartType::temporary}, generation);
    child.slot = slot;
    child.started = Deadline::Clock::now();
    child.state = ChildState::running;
    child.run = std::make_unique<Child::Run>(*std::move(process), loop_,
                                             [this, &child](auto&) { collect(child); });
  }
  settle();
}

void Supervisor::add(ChildSpec child) {
  make_child(std::move(child), newest_generation());
  settle();
}

void Supervisor::retire_one(const Escalation& escalation) {
  Child* const newest = children_->newest_staying(newest_generation());
  if (newest == nullptr) return;
  stop_for_good(*newest, escalation);
  settle();
}

bool Supervisor::renew(pid_t pid, const Escalation& retire_old) {
  if (renewal_) return false;
  Child* const old = children_->with_process(pid);
  if (old == nullptr || old->state != ChildState::running) return false;
  Child& successor = make_child(old->spec, old->generation);
  renewal_.emplace(Renewal{*old, successor, retire_old});
  settle();
  return true;
}

bool Supervisor::restart(pid_t pid, const Escalation& escalation) {
  Child* const child = children_->with_process(pid);
  if (child == nullptr || child->state != ChildState::running) return false;
  stop(*child, escalation, AfterStop::starts_again);
  settle();
  return true;
}

void Supervisor::hurry_generation(int generation, const Escalation& escalation) {
  for (Child& child : children_->of(generation)) {
    if (child.is_leaving()) stop_for_good(child, escalation);
  }
  settle();
}

void Supervisor::retire_all(const Escalation& escalation) {
  if (starting_) abandon_generation("told to stop before it was ready");
  for (Child& child : children_->all()) {
    if (!child.is_leaving()) stop_for_good(child, escalation);
  }
  settle();
}

void Supervisor::stop_all(const Escalation& escalation) {
  if (starting_) abandon_generation("told to stop before it was ready");
  for (Child& child : children_->all()) stop_for_good(child, escalation);
  settle();
}

void Supervisor::stop_all() {
  if (starting_) abandon_generation("told to stop before it was ready");
  for (Child& child : children_->all()) stop_for_good(child, child.spec.stop);
  settle();
}

void Supervisor::signal_children(int signal_number) {
  for (Child& child : children_->all()) {
    if (child.run) child.run->process.signal(signal_number);
  }
}

void Supervisor::show_status(const std::string& name) {
  status_.emplace(name);
  update_status();
}

std::vector<ChildView> Supervisor::children() const {
  return children_->views();
}

bool Supervisor::empty() const noexcept {
  return children_->empty();
}

bool Supervisor::gave_up() const noexcept {
  const auto current = generations_.find(current_);
  return current != generations_.end() && current->second.gave_up;
}

void Supervisor::step() {
  loop_.run_once(Deadline::now());
  const Deadline now = Deadline::now();
  for (Child& child : children_->all()) {
    if (child.due > now) continue;
    child.due = Deadline::never();
    handle(child, Event::due);
  }
  settle();
  while (!events_.empty()) {
    const SupervisorEvent event = std::move(events_.front());
    events_.pop_front();
    on_event_(event);
  }
  set_timer();
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

std::vector<Stranger> Supervisor::reap_strangers() {
  auto strangers = take_strangers();
  settle();
  return strangers;
}

std::vector<Stranger> Supervisor::take_strangers() {
  return proc::reap_strangers([this](pid_t pid) {
    Child* const own = children_->with_process(pid);
    if (own != nullptr) collect(*own);
    return own != nullptr;
  });
}

void Supervisor::tell_of_orphans() {
  for (Stranger& orphan : take_strangers()) {
    events_.push_back({.kind = Kind::orphan_ended,
                       .name = std::move(orphan.name),
                       .pid = orphan.pid,
                       .status = orphan.status});
  }
}

}  // namespace procpool::proc
