#include "servers/models/fork_per_client.hpp"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <ctime>
#include <exception>
#include <iterator>
#include <span>
#include <utility>
#include <variant>

#include "ipc/base/error.hpp"
#include "proc/stranger.hpp"
#include "servers/models/detail/doors.hpp"
#include "servers/models/detail/manager_line.hpp"
#include "servers/models/detail/packed_heap.hpp"
#include "servers/models/detail/succession.hpp"

namespace procpool::models {
namespace {

using namespace std::chrono_literals;

constexpr pid_t kInit = 1;

// The sessions of a master that was killed hold its sockets for a moment longer.
constexpr auto kPatienceWithPredecessor = 1s;
constexpr auto kPatienceWithStop = 1s;

// After a shortage of descriptors, memory or processes: clients wait in the kernel's queue.
constexpr auto kPauseAfterShortage = 100ms;

// So that signals are heard and the dead are reaped between them.
constexpr int kMostAtOnce = 32;

// Nothing of what the client sent was read: a close would be a reset, by which he could lose the
// text. He has a moment to read it, and nobody waits for him.
void refuse(const UniqueFd& connection, std::string_view text) {
  ::send(connection.fd(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  ::shutdown(connection.fd(), SHUT_WR);
}

std::string client_of(const UniqueFd& connection) {
  try {
    return net::Address::peer_of(connection.fd()).host();
  } catch (const Error&) {  // he has left
    return {};
  }
}

// Not valid: it has ended.
UniqueFd pidfd_of(const ProcessId& process) {
  UniqueFd pidfd;
  try {
    pidfd = open_pidfd(process.pid);
  } catch (const Error&) {
    return pidfd;
  }
  if (process.is_dead()) pidfd.reset();
  return pidfd;
}

}  // namespace

struct ForkPerClient::Cycle {
  SessionService service;
  detail::DoorList doors;
};

ForkPerClient::ForkPerClient(SessionService service, Hooks<SessionService> hooks, Board board,
                             Inheritance inheritance, Predecessor* predecessor)
    : no_sigpipe_{SIGPIPE, SIG_IGN},
      hooks_{std::move(hooks)},
      board_{std::move(board)},
      inheritance_{std::move(inheritance)},
      predecessor_{predecessor},
      heap_{std::make_unique<detail::PackedHeap>()},
      patience_{loop_, [this] { lose_patience(); }},
      look_again_{loop_, [this] { watch_doors(); }},
      refill_{loop_, [this] { keep_spares(); }},
      manager_{std::make_unique<detail::ManagerLine>(
          loop_, std::move(hooks_.manager),
          [this](const std::string& problem) { log_->warn("{}", problem); })},
      succession_{std::make_unique<detail::Succession>(
          loop_, detail::Succession::Outcomes{
                     .relieved = [this](pid_t by) { leave_to_successor(by); },
                     .failed = [this](const std::string& why) { upgrade_has_failed(why); }})},
      signals_{{SIGHUP, SIGTERM, SIGQUIT, SIGINT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCHLD}} {
  current_ = open(std::move(service));
  log_ = current_->service.make_logger();
  if (board_->started == 0) board_->started = std::time(nullptr);
}

ForkPerClient::~ForkPerClient() = default;

int ForkPerClient::run() {
  const Loop::Watch signal_watch{loop_, signals_.fd(), Interest::read, [this](const Readiness&) {
                                   while (const auto signal = signals_.try_next()) obey(*signal);
                                 }};
  manager_->keep_calm();
  adopt_sessions();
  heap_->pack();
  keep_spares();
  watch_doors();
  log_->info("serving");
  if (hooks_.on_serving) hooks_.on_serving(detail::addresses_of(current_->doors));
  if (predecessor_ != nullptr) relieve_predecessor();
  manager_->tell([](auto& manager) { manager.ready(); });
  while (phase_ == Phase::serving || has_own_sessions()) loop_.run_once(Deadline::never());
  return 0;
}

void ForkPerClient::obey(const proc::SignalInfo& signal) {
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
    case SIGWINCH:
      // The kernel sends it to the foreground of a terminal that is resized.
      if (!signal.from_kernel) leave_work();
      return;
    case SIGCHLD:
      if (::getpid() == kInit)
        succession_->look_at(proc::reap_strangers([this](pid_t pid) { return collect(pid); }));
      return;
    default:
      return;
  }
}

// What cannot be opened changes nothing.
std::unique_ptr<ForkPerClient::Cycle> ForkPerClient::open(SessionService service) {
  if (service.prepare_logs) service.prepare_logs();
  auto cycle = std::make_unique<Cycle>();
  cycle->doors = detail::open_doors(
      service.listen,
      {.open_already = current_ ? current_->doors : detail::DoorList{},
       .inheritance = inheritance_,
       .patience = current_ ? Deadline::now() : Deadline::in(kPatienceWithPredecessor)});
  cycle->service = std::move(service);
  return cycle;
}

void ForkPerClient::use(std::unique_ptr<Cycle> next) {
  pause();
  detail::close_doors(current_->doors, next->doors);
  dismiss_spares();  // which would serve with what was
  current_ = std::move(next);
  open_log();
  heap_->pack();
  keep_spares();
  watch_doors();
}

void ForkPerClient::watch_doors() {
  pause();
  for (const auto& door : current_->doors) {
    for (const net::Listener& socket : door->sockets) {
      door_watches_.emplace_back(loop_, socket.fd(), Interest::read,
                                 [this, &socket](const Readiness&) { accept_from(socket); });
    }
  }
}

// Clients wait in the kernel's queue.
void ForkPerClient::pause() {
  look_again_.cancel();
  door_watches_.clear();
}

void ForkPerClient::pause_for_lack() {
  pause();
  look_again_.set(Deadline::in(kPauseAfterShortage));
}

void ForkPerClient::accept_from(const net::Listener& socket) {
  for (int taken = 0; taken < kMostAtOnce; ++taken) {
    auto accepted = socket.try_accept();
    if (auto* connection = std::get_if<UniqueFd>(&accepted)) {
      admit(std::move(*connection));
      if (door_watches_.empty()) return;
      continue;
    }
    const int error = std::get<int>(accepted);
    if (error == EAGAIN) return;
    log_->error("accept on {}: {}", socket.address().text(), error_text(error));
    return pause_for_lack();
  }
}

void ForkPerClient::admit(UniqueFd connection) {
  const SessionService& service = current_->service;
  std::string client = client_of(connection);
  if (client.empty()) return;
  const auto from_there = by_client_.find(client);
  if (children_.size() >= std::min<std::size_t>(service.max_sessions, SessionBoard::kSlots)) {
    board_->refused.fetch_add(1);
    return refuse(connection, service.full);
  }
  if (from_there != by_client_.end() && from_there->second >= service.max_sessions_per_address) {
    board_->refused.fetch_add(1);
    return refuse(connection, service.too_many_from_there);
  }
  serve(std::move(connection), std::move(client));
}

void ForkPerClient::serve(UniqueFd connection, std::string client) {
  try {
    if (!hand_over(connection, client)) begin_session(std::move(connection), std::move(client));
  } catch (const std::exception& error) {  // no process, no descriptor: others are served on
    log_->error("{}", error.what());
    board_->refused.fetch_add(1);
    pause_for_lack();
  }
}

proc::Process ForkPerClient::fork_session(int fd, const std::function<int()>& body) {
  return proc::Process::fork(body, {.name = "session",
                                    .die_with_parent = true,
                                    .credentials = current_->service.run_as,
                                    .no_new_privs = true,
                                    .keep_only = {{fd}},
                                    .blocked_signals = Session::signals()});
}

void ForkPerClient::begin_session(UniqueFd connection, std::string client) {
  const auto number = claim_slot();
  if (!number) return refuse(connection, current_->service.full);
  SessionSlot& slot = board_->slots[*number];
  slot.reset();
  slot.client.set(client);
  slot.since = std::time(nullptr);

  const int fd = connection.fd();
  std::optional<proc::Process> process;
  try {
    process = fork_session(fd, [&] { return be_session(slot, client, std::move(connection)); });
  } catch (...) {
    slot.pid = 0;
    throw;
  }
  add_session(*number, std::move(client), *std::move(process));
}

std::list<ForkPerClient::Child>::iterator ForkPerClient::add_session(std::size_t slot,
                                                                     std::string client,
                                                                     proc::Process process) {
  const auto id = ProcessId::of(process.pid()).value_or(ProcessId{.pid = process.pid()});
  board_->slots[slot].show(id);
  board_->served.fetch_add(1);
  ++by_client_[client];
  children_.push_front({.slot = slot,
                        .client = std::move(client),
                        .id = id,
                        .process = std::move(process),
                        .pidfd = UniqueFd{},
                        .watch = nullptr});
  watch(children_.begin());
  return children_.begin();
}

// To one who lives: who does not is found out by end_of().
bool ForkPerClient::hand_over(UniqueFd& connection, const std::string& client) {
  while (!spares_.empty()) {
    Spare spare = std::move(spares_.front());
    spares_.pop_front();
    spare.watch.reset();
    refill_.set(Deadline::now());  // when this client, and who else waits, is served
    SessionSlot& slot = board_->slots[spare.slot];
    slot.client.set(client);
    slot.since = std::time(nullptr);
    const std::array<int, 1> descriptors{connection.fd()};
    if (spare.channel.try_send(std::as_bytes(std::span{client}), descriptors) !=
        ipc::Channel::SendResult::sent) {
      slot.pid = 0;
      continue;
    }
    const auto child = add_session(spare.slot, client, std::move(spare.process));
    child->handover.emplace(Handover{std::move(connection), std::move(spare.channel), nullptr});
    child->handover->watch = std::make_unique<Loop::Watch>(
        loop_, child->handover->channel.fd(), Interest::read, [child](const Readiness&) {
          std::array<std::byte, 1> word;
          const auto said = child->handover->channel.try_receive(word);
          if (said.outcome == ipc::Channel::Outcome::closed) {
            child->handover->watch.reset();  // it dies: see end_of()
          } else {
            child->handover.reset();
          }
        });
    return true;
  }
  return false;
}

void ForkPerClient::keep_spares() {
  if (phase_ != Phase::serving) return;
  try {
    while (spares_.size() < current_->service.spare_sessions) {
      const auto slot = claim_slot();
      if (!slot) return;
      begin_spare(*slot);
    }
  } catch (const std::exception& error) {
    log_->error("{}", error.what());
    refill_.set(Deadline::in(kPauseAfterShortage));
  }
}

void ForkPerClient::begin_spare(std::size_t number) {
  SessionSlot& slot = board_->slots[number];
  slot.reset();
  try {
    auto [mine, its] = ipc::make_channel();
    proc::Process process = fork_session(its.fd(), [&, &its = its] {
      const SessionService& service = current_->service;
      return Session{{.slot = slot, .client = {}, .make_logger = service.make_logger}}
          .run_when_given(service.handler, std::move(its));
    });
    spares_.push_back({.slot = number,
                       .process = std::move(process),
                       .channel = std::move(mine),
                       .watch = nullptr});
  } catch (...) {
    slot.pid = 0;
    throw;
  }
  const auto spare = std::prev(spares_.end());
  spare->watch = std::make_unique<Loop::Watch>(loop_, spare->process.fd(), Interest::read,
                                               [this, spare](const Readiness&) { end_of(spare); });
}

// Not at once again: what ended it may end the next one, too.
void ForkPerClient::end_of(std::list<Spare>::iterator spare) {
  const proc::ExitStatus status = spare->process.wait();
  log_->warn("session {}, which had no client yet, {}", spare->process.pid(), status.text());
  board_->slots[spare->slot].pid = 0;
  spares_.erase(spare);
  refill_.set(Deadline::in(kPauseAfterShortage));
}

void ForkPerClient::dismiss_spares() {
  refill_.cancel();
  for (const Spare& spare : spares_) board_->slots[spare.slot].pid = 0;
  spares_.clear();  // by SIGKILL
}

// In the child. Of the parent's objects only the connection has a descriptor left.
int ForkPerClient::be_session(SessionSlot& slot, const std::string& client, UniqueFd connection) {
  const SessionService& service = current_->service;
  return Session{{.slot = slot, .client = client, .make_logger = service.make_logger}}.run(
      service.handler, std::move(connection));
}

// Those of masters before count, as long as they last. If this process was the master, with another
// program, they are its children, and its own.
void ForkPerClient::adopt_sessions() {
  for (std::size_t number = 0; number < SessionBoard::kSlots; ++number) {
    SessionSlot& slot = board_->slots[number];
    if (slot.pid == 0 || std::ranges::count(children_, number, &Child::slot) != 0) continue;
    if (!slot.has_session()) {
      if (!ProcessId::of(slot.master)) slot.pid = 0;
      continue;
    }
    const ProcessId id = slot.process();
    auto process = proc::Process::adopt(id.pid, "session");
    UniqueFd pidfd = process ? UniqueFd{} : pidfd_of(id);
    if (!process && !pidfd.valid()) {
      slot.pid = 0;
      continue;
    }
    std::string client = slot.client.get();
    ++by_client_[client];
    children_.push_front({.slot = number,
                          .client = std::move(client),
                          .id = id,
                          .process = std::move(process),
                          .pidfd = std::move(pidfd),
                          .watch = nullptr});
    watch(children_.begin());
  }
}

// It may have begun some more until it heard of this.
void ForkPerClient::relieve_predecessor() {
  detail::take_possession(current_->doors, inheritance_);
  if (predecessor_->is_this_process()) finish_upgrade_in_place(inheritance_.problem);
  if (!predecessor_->relieve()) return;
  log_->info("the old server is relieved");
  predecessor_watch_.emplace(loop_, predecessor_->fd(), Interest::read, [this](const Readiness&) {
    predecessor_watch_.reset();
    adopt_sessions();
  });
}

void ForkPerClient::watch(std::list<Child>::iterator child) {
  const int fd = child->process ? child->process->fd() : child->pidfd.fd();
  child->watch = std::make_unique<Loop::Watch>(loop_, fd, Interest::read,
                                               [this, child](const Readiness&) { end_of(child); });
}

// Its place is free at once, unless another master has given it away already.
void ForkPerClient::end_of(std::list<Child>::iterator child) {
  if (child->process) {
    const proc::ExitStatus status = child->process->wait();
    if (!status.success())
      log_->warn("session {} of {} {}", child->id.pid, child->client, status.text());
  }
  SessionSlot& slot = board_->slots[child->slot];
  if (slot.process() == child->id) slot.pid = 0;
  const auto from_there = by_client_.find(child->client);
  if (--from_there->second == 0) by_client_.erase(from_there);
  std::optional<Handover> handover = std::move(child->handover);
  std::string client = std::move(child->client);
  children_.erase(child);
  if (!handover || phase_ == Phase::stopping) return;
  handover->watch.reset();
  std::array<std::byte, 1> word;
  if (handover->channel.try_receive(word).outcome == ipc::Channel::Outcome::message) return;
  serve(std::move(handover->connection), std::move(client));  // it never had him
}

bool ForkPerClient::collect(pid_t pid) {
  const auto own = std::ranges::find_if(
      children_, [&](const Child& child) { return child.process && child.process->pid() == pid; });
  if (own != children_.end()) {
    end_of(own);
    return true;
  }
  const auto spare =
      std::ranges::find_if(spares_, [&](const Spare& each) { return each.process.pid() == pid; });
  if (spare == spares_.end()) return false;
  end_of(spare);
  return true;
}

std::optional<std::size_t> ForkPerClient::claim_slot() {
  for (std::size_t tries = 0; tries < SessionBoard::kSlots; ++tries) {
    const std::size_t number = next_slot_++ % SessionBoard::kSlots;
    if (board_->slots[number].claim(::getpid())) return number;
  }
  return std::nullopt;
}

void ForkPerClient::reload() {
  if (phase_ != Phase::serving) return;
  reload_again_ = succession_->under_way();
  if (reload_again_) return;
  manager_->tell([](auto& manager) { manager.reloading(); });
  heap_->loosen();
  try {
    use(open(hooks_.reload()));
    finish_reload({});
  } catch (const std::exception& error) {
    heap_->pack();
    finish_reload(error.what());
  }
}

void ForkPerClient::finish_reload(const std::string& problem) {
  if (problem.empty()) {
    log_->info("reloaded: new sessions have the new configuration");
  } else {
    log_->error("reload failed, nothing has changed: {}", problem);
  }
  if (hooks_.on_reloaded) hooks_.on_reloaded(problem);
  manager_->tell(
      [&](auto& manager) { manager.ready(problem.empty() ? "" : "the last reload failed"); });
}

void ForkPerClient::upgrade() {
  if (phase_ != Phase::serving || succession_->under_way()) return;
  succession_->begin(hooks_.upgrade, [this](const NextProgram& next) {
    if (::getpid() == kInit) dismiss_spares();  // nobody would know them after the exec
    return Estate{.sockets = detail::estate_of(current_->doors),
                  .board = board_.fd(),
                  .pid_file = next.pid_file,
                  .memory = next.memory};
  });
  if (succession_->under_way()) log_->info("upgrading: process {} starts", succession_->pid());
}

void ForkPerClient::upgrade_has_failed(const std::string& problem) {
  log_->error("upgrade failed, nothing has changed: {}", problem);
  if (hooks_.on_upgraded) hooks_.on_upgraded(problem);
  refill_.set(Deadline::now());
  if (std::exchange(reload_again_, false)) reload();
}

void ForkPerClient::finish_upgrade_in_place(const std::string& problem) {
  detail::log_upgrade_in_place(*log_, problem);
  if (hooks_.on_reloaded) hooks_.on_reloaded(problem);
}

// Its sessions go on: nobody can hand over what a client and a process have begun.
void ForkPerClient::leave_to_successor(pid_t successor) {
  log_->info("process {} has taken over", successor);
  phase_ = Phase::leaving;
  manager_->tell([&](auto& manager) { manager.main_process(successor); });
  if (hooks_.on_upgraded) hooks_.on_upgraded({});
  detail::disown_names(current_->doors);
  pause();
  dismiss_spares();
  detail::close_doors(current_->doors);
}

// A log that cannot be opened ends no master: the old one stays in use.
void ForkPerClient::open_log() {
  const SessionService& service = current_->service;
  try {
    if (service.prepare_logs) service.prepare_logs();
    log_ = service.make_logger();
  } catch (const std::exception& error) {
    log_->error("{}", error.what());
  }
}

void ForkPerClient::reopen_logs() {
  open_log();
  signal_sessions(SIGUSR1);
}

void ForkPerClient::signal_sessions(int signal_number) {
  for (Child& child : children_) {
    if (child.process) child.process->take({.signal = signal_number});
  }
  for (Spare& spare : spares_) spare.process.take({.signal = signal_number});
}

// Those that live now, and not who comes after a reload.
void ForkPerClient::end_sessions(int signal_number, Deadline patience) {
  signal_sessions(signal_number);
  for (Child& child : children_) child.told_to_end = true;
  next_signal_ = signal_number == SIGTERM ? SIGINT : SIGKILL;
  patience_.set(patience);
}

void ForkPerClient::lose_patience() {
  bool any = false;
  for (Child& child : children_) {
    if (!child.process || !child.told_to_end) continue;
    child.process->take({.signal = next_signal_});
    any = true;
  }
  next_signal_ = SIGKILL;
  if (any) patience_.set(Deadline::in(kPatienceWithStop));
}

void ForkPerClient::leave_work() {
  if (phase_ != Phase::serving) return;
  log_->info("ending all sessions, and accepting nobody until a reload");
  pause();
  dismiss_spares();
  end_sessions(SIGTERM, Deadline::in(current_->service.graceful_timeout));
}

void ForkPerClient::stop_gracefully() {
  if (phase_ == Phase::stopping) return stop_now();
  log_->info("stopping");
  begin_to_stop();
  end_sessions(SIGTERM, Deadline::in(current_->service.graceful_timeout));
}

void ForkPerClient::stop_now() {
  begin_to_stop();
  end_sessions(SIGINT, Deadline::in(kPatienceWithStop));
}

void ForkPerClient::begin_to_stop() {
  const bool leaving = phase_ == Phase::leaving;
  if (std::exchange(phase_, Phase::stopping) == Phase::stopping || leaving) return;
  manager_->tell([](auto& manager) { manager.stopping(); });
  succession_->end(SIGTERM);
  pause();
  dismiss_spares();
  detail::close_doors(current_->doors);
}

bool ForkPerClient::has_own_sessions() const {
  return std::ranges::any_of(children_,
                             [](const Child& child) { return child.process.has_value(); });
}

}  // namespace procpool::models
