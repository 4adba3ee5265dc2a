#include "servers/models/prefork.hpp"

#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <iterator>
#include <random>
#include <utility>

#include "ipc/base/error.hpp"
#include "servers/models/detail/distributor.hpp"
#include "servers/models/detail/doors.hpp"
#include "servers/models/detail/manager_line.hpp"
#include "servers/models/detail/resident_memory.hpp"
#include "servers/models/detail/succession.hpp"
#include "servers/models/detail/worker_scaling.hpp"
#include "servers/net/socket_option.hpp"

namespace procpool::models {
namespace {

using namespace std::chrono_literals;
using Kind = proc::SupervisorEvent::Kind;

constexpr pid_t kInit = 1;

// INT ends a worker that still steps through its loop; KILL also one that does not.
constexpr auto kPatienceWithStop = 1s;

// For writing a backtrace, and a core if the system wants one.
constexpr auto kPatienceWithAbort = 2s;

// The workers of a master that was killed hold its sockets for a moment longer: the next one waits
// so long for them.
constexpr auto kPatienceWithPredecessor = 1s;

constexpr auto kPauseBetweenLooks = 1s;

// With one that is to take what this master has in its hands, before it executes another program.
constexpr auto kPatienceWithWorkers = 1s;

ipc::Shared<proc::Scoreboard> board_of(Inheritance& inheritance) {
  if (!inheritance.board.valid()) return {};
  try {
    auto board = ipc::Shared<proc::Scoreboard>::attach(std::move(inheritance.board));
    inheritance.totals = {};  // which are in it
    return board;
  } catch (const Error&) {  // another version of this program had another one
    return {};
  }
}

UniqueFd make_bell() {
  UniqueFd bell{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!bell.valid()) throw_errno("eventfd");
  return bell;
}

// So that workers that started together are not worn together. In the worker.
std::uint64_t requests_of_one_worker(const Service& service) {
  if (service.max_requests == 0 || service.max_requests_jitter == 0) return service.max_requests;
  std::random_device random;
  return service.max_requests +
         std::uniform_int_distribution<std::uint64_t>{0, service.max_requests_jitter}(random);
}

std::string wear_of(const proc::WorkerSlot& slot) {
  if (slot.wear == proc::Wear::memory) return "occupies more memory than max-rss";
  return "has answered " + std::to_string(slot.requests) + " requests";
}

// Why a worker ended unasked.
std::string cause_of(const proc::SupervisorEvent& event) {
  return event.status->text() + (event.reason.empty() ? "" : " (" + event.reason + ")");
}

// Its process is gone.
bool is_over(const proc::SupervisorEvent& event) {
  return event.slot >= 0 && (event.kind == Kind::exited || event.kind == Kind::ended ||
                             event.kind == Kind::start_failed);
}

proc::Escalation drain_plan(const Service& service) {
  return {
      {SIGQUIT, service.graceful_timeout}, {SIGINT, kPatienceWithStop}, {SIGKILL, proc::kForever}};
}

proc::Escalation stop_plan(const Service& service) {
  return {
      {SIGTERM, service.graceful_timeout}, {SIGINT, kPatienceWithStop}, {SIGKILL, proc::kForever}};
}

proc::Escalation abort_plan() {
  return {{SIGABRT, kPatienceWithAbort}, {SIGKILL, proc::kForever}};
}

proc::Escalation stop_now_plan() {
  return {{SIGINT, kPatienceWithStop}, {SIGKILL, proc::kForever}};
}

}  // namespace

Prefork::Prefork(Service service, Hooks<Service> hooks, Inheritance inheritance,
                 Predecessor* predecessor)
    : no_sigpipe_{SIGPIPE, SIG_IGN},
      hooks_{std::move(hooks)},
      inheritance_{std::move(inheritance)},
      predecessor_{predecessor},
      handed_over_{inheritance_.handed_over ? *std::move(inheritance_.handed_over)
                                            : ipc::make_channel()},
      successor_bell_{make_bell()},
      board_{board_of(inheritance_)},
      manager_{std::make_unique<detail::ManagerLine>(
          loop_, std::move(hooks_.manager),
          [this](const std::string& problem) { log_->warn("{}", problem); })},
      care_timer_{loop_, [this] { look_after_workers(); }},
      scaling_{std::make_unique<detail::WorkerScaling>()},
      succession_{std::make_unique<detail::Succession>(
          loop_, detail::Succession::Outcomes{
                     .relieved = [this](pid_t by) { leave_to_successor(by); },
                     .failed = [this](const std::string& why) { upgrade_has_failed(why); }})},
      signals_{{SIGHUP, SIGTERM, SIGQUIT, SIGINT, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU, SIGWINCH,
                SIGCHLD}},
      supervisor_{[this](const proc::SupervisorEvent& event) { on_event(event); },
                  static_cast<int>(proc::Scoreboard::kSlots)} {
  next_ = open(std::move(service));
  log_ = next_->service.make_logger();
}

Prefork::~Prefork() = default;

int Prefork::run() {
  const Loop::Watch signal_watch{loop_, signals_.fd(), Interest::read, [this](const Readiness&) {
                                   while (const auto signal = signals_.try_next()) obey(*signal);
                                 }};
  const Loop::Watch supervisor_watch{loop_, supervisor_.fd(), Interest::read,
                                     [this](const Readiness&) { supervisor_.step(); }};
  const Loop::Watch bell_watch{loop_, successor_bell_.fd(), Interest::read,
                               [this](const Readiness&) {
                                 eventfd_t rings = 0;
                                 ::eventfd_read(successor_bell_.fd(), &rings);
                                 recycle_one();
                               }};
  show_master();
  manager_->keep_calm();
  adopt_workers();
  start(next_);
  while (phase_ != Phase::stopping || !supervisor_.empty()) loop_.run_once(Deadline::never());
  return exit_code_;
}

void Prefork::obey(const proc::SignalInfo& signal) {
  switch (signal.number) {
    case SIGHUP:
      return reload();
    case SIGTERM:
    case SIGQUIT:
      return stop_gracefully();
    case SIGINT:
      return stop_now();
    case SIGUSR1:
      return reopen_logs();
    case SIGUSR2:
      return upgrade();
    case SIGTTIN:
      return add_worker();
    case SIGTTOU:
      return retire_worker();
    case SIGWINCH:
      // The kernel sends it to the foreground of a terminal that is resized.
      if (!signal.from_kernel) leave_work();
      return;
    case SIGCHLD:
      if (::getpid() == kInit) succession_->look_at(supervisor_.reap_strangers());
      return;
    default:
      return;
  }
}

const Prefork::Generation& Prefork::newest() const {
  return next_ ? *next_ : *current_;
}

void Prefork::reload() {
  if (phase_ == Phase::stopping) return;
  reload_again_ = next_ != nullptr || succession_->under_way();
  if (reload_again_) return;
  manager_->tell([](auto& manager) { manager.reloading(); });
  try {
    start(open(hooks_.reload()));
  } catch (const std::exception& error) {
    finish_reload(error.what());
  }
}

// What cannot be opened changes nothing.
std::shared_ptr<Prefork::Generation> Prefork::open(Service service) {
  if (service.prepare_logs) service.prepare_logs();
  auto generation = std::make_shared<Generation>();
  generation->doors = detail::open_doors(
      service.listen,
      {.open_already = current_ ? current_->doors : detail::DoorList{},
       .inheritance = inheritance_,
       .patience = current_ ? Deadline::now() : Deadline::in(kPatienceWithPredecessor),
       .sockets_each = distributor(service.accept)
                           .sockets_for(std::max(service.workers, service.max_workers))});
  generation->sockets.reserve(generation->doors.size());
  for (const auto& door : generation->doors) {
    auto& sockets = generation->sockets.emplace_back();
    for (net::Listener& socket : door->sockets) sockets.push_back(&socket);
  }
  generation->service = std::move(service);
  return generation;
}

void Prefork::start(std::shared_ptr<Generation> next) {
  next_ = std::move(next);
  const Service& old = current_ ? current_->service : next_->service;
  std::vector<proc::ChildSpec> workers(workers_to_begin_with(next_->service), worker_spec(next_));
  next_->number = supervisor_.start_generation(std::move(workers), drain_plan(old));
}

proc::ChildSpec Prefork::worker_spec(const std::shared_ptr<Generation>& generation) {
  std::vector<int> keep{handed_over_.left.fd(), handed_over_.right.fd(), successor_bell_.fd()};
  for (const auto& door : generation->sockets) {
    for (const net::Listener* socket : door) keep.push_back(socket->fd());
  }
  return {.name = "worker",
          .body = [this, generation](
                      proc::ChildContext& context) { return be_worker(*generation, context); },
          .options = {.name = "worker",
                      .die_with_parent = true,
                      .credentials = generation->service.run_as,
                      .keep_only = std::move(keep),
                      .blocked_signals = Worker::signals()},
          .before_fork =
              [this, generation](proc::ChildOptions& options, int slot) {
                for (const auto& [strategy, any] : distributors_) any->forget(slot);
                if (!generation->service.cpus.empty())
                  options.cpus = {cpu_of_next_worker(*generation, slot)};
                const auto more = distributor(generation->service.accept).equip(slot);
                options.keep_only->insert(options.keep_only->end(), more.begin(), more.end());
              },
          .alive_within = generation->service.hung_after,
          .stop = abort_plan()};
}

// In the child. Of the parent's objects only what worker_spec keeps has a descriptor left.
int Prefork::be_worker(Generation& generation, proc::ChildContext& context) {
  const Service& service = generation.service;
  Worker::Parts parts{.doors = generation.sockets,
                      .make_acceptor =
                          [&](Loop& loop, detail::Intake& intake) {
                            return distributor(service.accept)
                                .make_acceptor(context.slot(), generation.sockets, loop, intake);
                          },
                      .give = handed_over_.left,
                      .take = handed_over_.right,
                      .board = *board_,
                      .slot = board_->workers[static_cast<std::size_t>(context.slot())],
                      .make_logger = service.make_logger,
                      .open_crash_log = service.open_crash_log,
                      .refusal = service.refusal,
                      .max_connections = service.max_connections,
                      .defer_accept = service.defer_accept,
                      .graceful_timeout = service.graceful_timeout,
                      .max_requests = requests_of_one_worker(service),
                      .max_rss = service.max_rss,
                      .measures_work = service.scales(),
                      .sandbox = service.sandbox.get(),
                      .successor_bell = successor_bell_.fd()};
  return Worker{std::move(parts)}.run(service.make_handler, context);
}

// One of each strategy, for the generations that have it.
detail::Distributor& Prefork::distributor(AcceptStrategy strategy) {
  auto& made = distributors_[strategy];
  if (!made) {
    made = detail::make_distributor(
        strategy, {.loop = loop_,
                   .board = *board_,
                   .any_worker = handed_over_.left,
                   .complain = [this](const std::string& problem) { log_->error("{}", problem); }});
  }
  return *made;
}

// Unless another worker has it already.
void Prefork::leave_slot(int slot) {
  const auto children = supervisor_.children();
  if (std::ranges::count(children, slot, &proc::ChildView::slot) != 0) return;
  for (const auto& [strategy, any] : distributors_) any->forget(slot);
}

// Tells each strategy who takes connections from now on. Whether the workers have to look again.
bool Prefork::distribute() {
  if (!current_ || phase_ == Phase::stopping) return false;
  std::vector<int> ready;
  for (const proc::ChildView& child : supervisor_.children()) {
    if (child.generation == current_->number && child.state == proc::ChildState::running)
      ready.push_back(child.slot);
  }
  bool look_again = false;
  for (const auto& [strategy, its_distributor] : distributors_) {
    const bool in_use = strategy == current_->service.accept;
    look_again |= in_use ? its_distributor->serve_with(ready, current_->sockets)
                         : its_distributor->serve_with({}, {});
  }
  return look_again;
}

void Prefork::on_event(const proc::SupervisorEvent& event) {
  show(event);
  follow(event);
  if (is_over(event)) leave_slot(event.slot);
  // One that is gone may have been woken for a connection that it did not take, and nobody else was
  // woken for that one.
  const bool look_again = is_over(event) || event.kind == Kind::unresponsive;
  if (distribute() || look_again) supervisor_.signal_children(SIGUSR2);
  recycle_one();
}

void Prefork::follow(const proc::SupervisorEvent& event) {
  switch (event.kind) {
    case Kind::generation_ready:
      return on_generation_ready();
    case Kind::generation_failed:
      return on_generation_failed(event.reason);
    case Kind::unresponsive:
    case Kind::exited:
    case Kind::start_failed:
    case Kind::gave_up:
      log_->error("{}", event.text());
      break;
    case Kind::backing_off:
      if (event.delay > 0ms) log_->warn("{}", event.text());
      break;
    case Kind::ended:
      if (!event.status || !event.status->success()) log_->warn("{}", event.text());
      break;
    default:
      log_->debug("{}", event.text());
  }
}

void Prefork::on_generation_ready() {
  const std::shared_ptr<Generation> old = std::exchange(current_, std::exchange(next_, nullptr));
  board_->master.generation = supervisor_.generation();
  if (phase_ == Phase::stopping) return leave_doors();
  const bool more_sockets = listen_at_all_doors();
  choose_when_to_accept();
  if (distribute() || more_sockets) supervisor_.signal_children(SIGUSR2);
  if (!old) {
    phase_ = Phase::serving;
    log_->info("serving with {} workers", current_->service.workers);
    if (hooks_.on_serving) hooks_.on_serving(detail::addresses_of(current_->doors));
    if (predecessor_ != nullptr) take_over();
    manager_->tell([](auto& manager) { manager.ready(); });
  } else {
    // The old workers still hold their copies, take what waits there, and close them: then it is
    // refused.
    detail::close_doors(old->doors, current_->doors);
    finish_reload({});
    hurry_old_generations();
  }
  look_after_workers();
  if (std::exchange(reload_again_, false)) reload();
}

// A socket of a group gets connections only when there are workers who take them. Whether there are
// new ones.
bool Prefork::listen_at_all_doors() {
  bool more = false;
  for (const auto& door : current_->sockets) {
    for (net::Listener* socket : door) {
      if (socket->is_listening()) continue;
      try {
        socket->listen();
        more = true;
      } catch (const Error& error) {  // the others of its group have its share
        log_->error("{}", error.what());
      }
    }
  }
  return more;
}

void Prefork::choose_when_to_accept() {
  constexpr auto kAtMost = 1s;
  for (const auto& door : current_->doors) {
    if (door->asked.is_unix()) continue;
    for (const net::Listener& socket : door->sockets)
      net::set_option(socket.fd(), net::kDeferAccept,
                      current_->service.defer_accept ? kAtMost : 0s);
  }
}

void Prefork::on_generation_failed(const std::string& reason) {
  if (phase_ == Phase::stopping) return;
  if (!current_) {
    return give_up_start(reason);
  }
  next_ = nullptr;
  finish_reload(reason);
  if (std::exchange(reload_again_, false)) reload();
}

// If this program was executed in place, and the one before can be executed again, that does not
// return: the names that are not inherited go now.
void Prefork::give_up_start(const std::string& reason) {
  log_->critical("no worker could start: {}", reason);
  exit_code_ = 1;
  try {
    if (predecessor_ != nullptr && predecessor_->is_this_process()) {
      detail::close_doors(next_->doors);
      predecessor_->decline(reason, supervisor_.offspring());
    } else if (predecessor_ != nullptr) {
      predecessor_->decline(reason);
    }
  } catch (const std::exception& error) {
    log_->critical("{}", error.what());
  }
  stop_now();
}

void Prefork::take_over() {
  detail::take_possession(current_->doors, inheritance_);
  if (predecessor_->is_this_process()) finish_upgrade_in_place(inheritance_.problem);
  if (predecessor_->relieve()) log_->info("the old server is relieved");
}

void Prefork::finish_upgrade_in_place(const std::string& problem) {
  board_->master.reload_result.set(problem.empty() ? "ok" : "upgrade: " + problem);
  detail::log_upgrade_in_place(*log_, problem);
  if (hooks_.on_reloaded) hooks_.on_reloaded(problem);
}

// They serve until the first of the own ones do. Those who have ended while nobody looked have left
// their rows.
void Prefork::adopt_workers() {
  if (!inheritance_.offspring) return;
  supervisor_.adopt(*std::exchange(inheritance_.offspring, std::nullopt));
  supervisor_.reap_strangers();
  const auto living = supervisor_.children();
  for (proc::WorkerSlot& slot : board_->workers) {
    if (slot.state != proc::WorkerState::none &&
        std::ranges::count(living, slot.pid.load(), &proc::ChildView::pid) == 0)
      leave_row(slot);
  }
}

void Prefork::upgrade() {
  if (phase_ != Phase::serving || succession_->under_way()) return;
  succession_->begin(hooks_.upgrade, [this](const NextProgram& next) { return estate(next); });
  if (succession_->under_way()) log_->info("upgrading: process {} starts", succession_->pid());
}

// In place also what this process alone has: the board that the workers write, and the workers.
Estate Prefork::estate(const NextProgram& next) {
  Estate all{.sockets = detail::estate_of(current_->doors),
             .handed_over = &handed_over_,
             .pid_file = next.pid_file,
             .memory = next.memory,
             .totals = totals()};
  if (::getpid() != kInit) return all;
  for (const auto& [strategy, any] : distributors_) {
    if (!any->let_go(Deadline::in(kPatienceWithWorkers)))
      throw Error{"upgrade", "a worker", "does not take the connections that it was sent"};
  }
  all.board = board_.fd();
  all.offspring = supervisor_.offspring();
  return all;
}

void Prefork::upgrade_has_failed(const std::string& problem) {
  board_->master.reload_result.set("upgrade: " + problem);
  log_->error("upgrade failed, nothing has changed: {}", problem);
  if (hooks_.on_upgraded) hooks_.on_upgraded(problem);
  distribute();
  if (std::exchange(reload_again_, false)) reload();
}

// The workers give what idles to those of the new master, and look at the doors no more.
void Prefork::leave_to_successor(pid_t successor) {
  log_->info("process {} has taken over", successor);
  phase_ = Phase::stopping;
  manager_->tell([&](auto& manager) { manager.main_process(successor); });
  if (hooks_.on_upgraded) hooks_.on_upgraded({});
  detail::disown_names(current_->doors);
  leave_doors();
  supervisor_.stop_all(drain_plan(newest().service));
}

Totals Prefork::totals() const {
  const proc::ScoreboardView view = proc::view_of(*board_);
  return {.started = view.started,
          .requests = view.requests,
          .bytes = view.bytes,
          .restarts = view.restarts,
          .reloads = view.reloads,
          .latency = view.latency};
}

void Prefork::show_master() {
  proc::MasterRow& row = board_->master;
  const Totals& before = inheritance_.totals;
  row.pid = ::getpid();
  if (row.started != 0) return;  // inherited
  row.started = before.started != 0 ? before.started : std::time(nullptr);
  row.finished_requests = before.requests;
  row.finished_bytes = before.bytes;
  row.finished_latency.add(before.latency);
  row.restarts = before.restarts;
  row.reloads = before.reloads;
}

void Prefork::finish_reload(const std::string& problem) {
  board_->master.last_reload = std::time(nullptr);
  board_->master.reload_result.set(problem.empty() ? "ok" : problem);
  if (problem.empty()) {
    board_->master.reloads.fetch_add(1);
    open_log();
    log_->info("reloaded: generation {} serves with {} workers", supervisor_.generation(),
               living_workers());
  } else {
    log_->error("reload failed, nothing has changed: {}", problem);
  }
  if (hooks_.on_reloaded) hooks_.on_reloaded(problem);
  manager_->tell(
      [&](auto& manager) { manager.ready(problem.empty() ? "" : "the last reload failed"); });
}

void Prefork::add_worker() {
  if (phase_ != Phase::stopping) supervisor_.add(worker_spec(next_ ? next_ : current_));
}

void Prefork::retire_worker() {
  if (phase_ == Phase::stopping || living_workers() < 2) return;
  supervisor_.retire_one(drain_plan(newest().service));
}

// Of the newest generation: if all that are left were of an older one, its end would leave nobody.
unsigned Prefork::living_workers() const {
  const auto children = supervisor_.children();
  return static_cast<unsigned>(std::ranges::count_if(children, [&](const auto& child) {
    return child.generation == children.back().generation &&
           child.state != proc::ChildState::stopping;
  }));
}

// A reload that is under way replaces all of them; if it fails, they are looked at again.
void Prefork::recycle_one() {
  if (phase_ != Phase::serving || next_ || supervisor_.renewing()) return;
  for (const proc::WorkerSlot& slot : board_->workers) {
    if (slot.state != proc::WorkerState::ready || slot.wear == proc::Wear::none) continue;
    if (!supervisor_.renew(slot.pid, drain_plan(current_->service))) continue;
    log_->info("worker {} {}: it is replaced", slot.pid.load(), wear_of(slot));
    return;
  }
}

// Nothing here is said by a worker that could not be wrong: what it says of its work can cost a
// worker more or fewer, within the limits.
void Prefork::look_after_workers() {
  care_timer_.cancel();
  const Service& service = current_->service;
  if (phase_ != Phase::serving || (!service.scales() && service.max_rss_hard == 0)) return;
  care_timer_.set(Deadline::in(kPauseBetweenLooks));
  if (next_) return;
  end_those_too_large();
  scale();
}

// A successor has until the next look to be ready.
void Prefork::end_those_too_large() {
  const std::uint64_t limit = current_->service.max_rss_hard;
  std::set<pid_t> too_large;
  if (limit != 0) {
    for (const proc::ChildView& worker : supervisor_.children()) {
      if (worker.state != proc::ChildState::running) continue;
      const UniqueFd statm = detail::open_statm(worker.pid);
      if (detail::resident_bytes(statm.fd()) > limit) too_large.insert(worker.pid);
    }
  }
  for (const pid_t pid : too_large) {
    if (!too_large_.contains(pid) && supervisor_.renew(pid, stop_now_plan())) {
      log_->warn("worker {} occupies more memory than max-rss-hard: it is replaced now", pid);
    } else if (supervisor_.restart(pid, stop_now_plan())) {
      log_->warn("worker {} occupies more memory than max-rss-hard: it is ended", pid);
    }
  }
  too_large_ = std::move(too_large);
}

void Prefork::scale() {
  const Service& service = current_->service;
  if (!service.scales() || supervisor_.renewing()) return;
  const auto now = Deadline::Clock::now();
  const auto time = now - last_look_;
  unsigned workers = 0;
  double load = 0;
  std::map<pid_t, std::uint64_t> worked;
  for (const proc::ChildView& worker : supervisor_.children()) {
    if (worker.generation != current_->number || worker.state == proc::ChildState::stopping)
      continue;
    if (worker.state != proc::ChildState::running) return;  // it will change the load
    ++workers;
    load += load_of(worker, time);
    worked[worker.pid] = board_->workers[static_cast<std::size_t>(worker.slot)].worked;
  }
  worked_ = std::move(worked);
  last_look_ = now;
  if (workers == 0) return;  // they have been retired
  load /= workers;
  const int change = scaling_->step({.workers = workers, .load = load},
                                    {.least = service.min_workers, .most = service.max_workers});
  if (change == 0) return;
  log_->info("{} workers work for {:.0f} % of the time: {} {}", workers, 100 * load,
             std::abs(change), change > 0 ? "more" : "fewer");
  for (int more = 0; more < change; ++more) supervisor_.add(worker_spec(current_));
  if (change < 0) supervisor_.retire_one(drain_plan(service));
}

// One that is full is no help to others, however little it has to do.
double Prefork::load_of(const proc::ChildView& worker, Deadline::Clock::duration time) {
  const proc::WorkerSlot& slot = board_->workers[static_cast<std::size_t>(worker.slot)];
  const auto before = worked_.find(worker.pid);
  if (before == worked_.end()) return 0;  // not yet known
  const auto worked = static_cast<double>(slot.worked - before->second) /
                      static_cast<double>(std::chrono::nanoseconds{time}.count());
  const auto filled = static_cast<double>(slot.connections) /
                      static_cast<double>(current_->service.max_connections);
  return std::clamp(std::max(worked, filled), 0.0, 1.0);
}

// Beside the workers of its generation: the others will be gone soon.
int Prefork::cpu_of_next_worker(const Generation& generation, int slot) {
  std::vector<int> used;
  for (const proc::ChildView& child : supervisor_.children()) {
    const auto place = placements_.find(child.slot);
    if (place != placements_.end() && place->second.generation == &generation)
      used.push_back(place->second.cpu);
  }
  const int cpu = least_used_cpu(generation.service.cpus, used);
  placements_.insert_or_assign(slot, Placement{.generation = &generation, .cpu = cpu});
  return cpu;
}

// As many as serve now, if the load has chosen them.
unsigned Prefork::workers_to_begin_with(const Service& service) const {
  const unsigned now = current_ ? living_workers() : 0;
  if (!service.scales() || now == 0) return service.workers;
  return std::clamp(now, service.min_workers, service.max_workers);
}

// They have only what is slow left.
void Prefork::hurry_old_generations() {
  std::set<int> draining;
  for (const proc::ChildView& child : supervisor_.children()) {
    if (child.generation < current_->number) draining.insert(child.generation);
  }
  while (draining.size() > kMostDraining) {
    const int oldest = *draining.begin();
    draining.erase(draining.begin());
    log_->warn("generation {} still drains, and {} newer ones: it is stopped now", oldest,
               draining.size());
    supervisor_.hurry_generation(oldest, stop_now_plan());
  }
}

// Not before the first workers are ready: a start-up is not given up half-way. Those that drain
// already are told too: nobody is left to take what they would hand over.
void Prefork::leave_work() {
  if (phase_ == Phase::serving) supervisor_.stop_all(stop_plan(newest().service));
}

// A log that cannot be opened ends no master: the old one stays in use.
void Prefork::open_log() {
  const Service& service = newest().service;
  try {
    if (service.prepare_logs) service.prepare_logs();
    log_ = service.make_logger();
  } catch (const std::exception& error) {
    log_->error("{}", error.what());
  }
}

void Prefork::reopen_logs() {
  open_log();
  supervisor_.signal_children(SIGUSR1);
}

void Prefork::stop_gracefully() {
  if (phase_ == Phase::stopping) return stop_now();
  log_->info("stopping");
  begin_to_stop();
  // From here on each worker keeps what it has: one that would take it may be gone already. What is
  // in the channel can still be taken out, and is.
  ::shutdown(handed_over_.right.fd(), SHUT_RD);
  supervisor_.stop_all(stop_plan(newest().service));
}

void Prefork::stop_now() {
  begin_to_stop();
  supervisor_.stop_all(stop_now_plan());
}

void Prefork::begin_to_stop() {
  if (std::exchange(phase_, Phase::stopping) == Phase::stopping) return;
  manager_->tell([](auto& manager) { manager.stopping(); });
  succession_->end(SIGTERM);
  leave_doors();
}

// The workers hold copies of their own and close them when they have taken what waits there.
void Prefork::leave_doors() {
  for (const auto& [strategy, any] : distributors_) any->stop();
  for (const auto& generation : {current_, next_}) {
    if (generation) detail::close_doors(generation->doors);
  }
}

void Prefork::show(const proc::SupervisorEvent& event) {
  if (event.slot < 0 || event.slot >= static_cast<int>(proc::Scoreboard::kSlots)) return;
  proc::MasterRow& master = board_->master;
  proc::WorkerSlot& slot = board_->workers[static_cast<std::size_t>(event.slot)];
  switch (event.kind) {
    case Kind::started:
      slot.pid = event.pid;
      slot.generation = event.generation;
      slot.started = std::time(nullptr);
      slot.state = proc::WorkerState::starting;
      return;
    case Kind::ready:
      slot.state = proc::WorkerState::ready;
      return;
    case Kind::retiring:
      slot.state = proc::WorkerState::draining;
      return;
    case Kind::exited:
      master.restarts.fetch_add(1);
      master.deaths.add({.time = std::time(nullptr), .pid = event.pid, .cause = cause_of(event)});
      [[fallthrough]];
    case Kind::start_failed:
    case Kind::ended:
      return leave_row(slot);
    default:
      return;
  }
}

// What it has done is remembered. The next one here may end before it resets the counters itself.
void Prefork::leave_row(proc::WorkerSlot& slot) {
  proc::MasterRow& master = board_->master;
  master.finished_requests.fetch_add(slot.requests);
  master.finished_bytes.fetch_add(slot.bytes);
  master.finished_latency.add(slot.latency.counts());
  slot.state = proc::WorkerState::none;
  slot.reset_counters();
}

}  // namespace procpool::models
