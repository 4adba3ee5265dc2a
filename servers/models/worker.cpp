#include "servers/models/worker.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <exception>
#include <string>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "servers/models/detail/acceptor.hpp"
#include "servers/models/detail/intake.hpp"
#include "servers/models/detail/listener_acceptor.hpp"
#include "servers/models/detail/resident_memory.hpp"

namespace procpool::models {
namespace {

using namespace std::chrono_literals;

// Taken at one wake-up, before what else is ready has its turn.
constexpr std::size_t kTakeAtOnce = 8;

// A worker that has its share of the connections leaves those that are handed over to its siblings
// for a moment, and for so many more moments as long as none of them takes any.
constexpr auto kMoment = 1ms;
constexpr int kMostMoments = 20;

// A shortage of descriptors or memory ends without an event that could be waited for.
constexpr auto kPauseWhenShort = 100ms;
constexpr auto kPauseWhenTooManyInFlight = 10ms;

// So many in the time after which a worker counts as hung.
constexpr int kBeatsInALimit = 4;

// Memory grows with work: a worker that sleeps need not be woken to look, and one that has done
// nothing yet is no better than its successor.
constexpr auto kPauseBetweenLooksAtMemory = 250ms;

// From so many connections on, each may have so many bytes waiting in the kernel for a client who
// does not read, tcp(7): on loopback it would be a MiB or more, and a thousand such clients use up
// what the kernel has for all of TCP (tcp_mem). Fewer may have what makes large answers fast.
constexpr std::size_t kCrowd = 128;
constexpr int kMostUnsentInACrowd = 128 << 10;

// Of a TCP connection; others have no such limit, and need none.
void limit_unsent(const UniqueFd& socket) noexcept {
  ::setsockopt(socket.fd(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kMostUnsentInACrowd,
               sizeof kMostUnsentInACrowd);
}

std::string text_of(std::exception_ptr error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "something that is no std::exception";
  }
}

}  // namespace

// A terminal sends HUP and WINCH to the whole foreground group: they are the master's, and end no
// worker.
proc::SignalSet Worker::signals() {
  return {SIGQUIT, SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP, SIGTTIN, SIGTTOU, SIGWINCH};
}

Worker::Worker(Parts parts)
    : parts_{std::move(parts)},
      log_{parts_.make_logger()},
      no_sigpipe_{SIGPIPE, SIG_IGN},
      signals_{signals()},
      intake_{std::make_unique<detail::Intake>(
          detail::Intake::Uses{
              .begin = [this](UniqueFd socket) { begin_connection(std::move(socket)); },
              .room = [this] { return room(); },
              .pause = [this] { pause_for_lack(); },
              .complain = [this](const std::string& problem) { log().error("{}", problem); }},
          parts_.refusal)},
      acceptor_{parts_.make_acceptor(loop_, *intake_)},
      take_again_{loop_, [this] { watch_handed_over(); }},
      look_again_{loop_, [this] { look_again(); }},
      try_leaving_{loop_, [this] { send_leaving(); }},
      connections_{[this](std::exception_ptr error) {
        log().error("a connection ended by an exception: {}", text_of(error));
      }} {
  parts_.slot.reset_counters();
  if (parts_.open_crash_log) crash_report_.emplace(parts_.open_crash_log());
}

Worker::~Worker() = default;

int Worker::run(const MakeHandler& make_handler, proc::ChildContext& context) {
  if (parts_.max_rss != 0) {
    statm_ = detail::open_statm(::getpid());
    if (!statm_.valid()) throw_errno("open", "/proc/self/statm");
    next_look_at_memory_ = Deadline::Clock::now() + kPauseBetweenLooksAtMemory;
  }
  handler_ = make_handler(*this);
  const Loop::Watch signal_watch{loop_, signals_.fd(), Interest::read, [this](const Readiness&) {
                                   while (const auto signal = signals_.try_next())
                                     obey(signal->number);
                                 }};
  // Whatever killed the master: nobody is left to answer to, and the next master must find the port
  // free.
  const Loop::Watch life_watch{loop_, context.life_fd(), Interest::read,
                               [this](const Readiness&) { ended_ = true; }};
  // Given by the loop, so that one that sleeps for want of work is alive, and one that makes no
  // step is not.
  Loop::Timer heart{loop_, [&] { beat(heart, context); }};
  beat(heart, context);
  if (parts_.sandbox != nullptr) parts_.sandbox->enter();
  look_again();
  context.ready();
  while (!ended_) {
    loop_.run_once(Deadline::never());
    end_turn();
  }
  return 0;
}

void Worker::beat(Loop::Timer& heart, proc::ChildContext& context) {
  context.alive();
  if (const auto limit = context.alive_within()) heart.set(Deadline::in(*limit / kBeatsInALimit));
}

void Worker::end_turn() {
  for (const auto& call : at_turn_end_) call();
  if (parts_.measures_work) slot().count_work(Deadline::Clock::now() - loop_.now());
  slot().connections.store(connections_.size(), std::memory_order_relaxed);
  if (draining_) {
    ended_ = ended_ || (connections_.size() == 0 && leaving_.empty());
  } else if (full() && accepting_) {
    accepting_ = false;
    acceptor_->step_aside();
  } else if (!full() && !accepting_ && look_again_.deadline().is_never()) {
    accepting_ = true;
    acceptor_->open();
  }
  if (!draining_ && slot().wear == proc::Wear::none) {
    slot().wear = look_for_wear();
    if (slot().wear != proc::Wear::none) ::eventfd_write(parts_.successor_bell, 1);
  }
}

proc::Wear Worker::look_for_wear() {
  if (parts_.max_requests != 0 && slot().requests >= parts_.max_requests) {
    return proc::Wear::requests;
  }
  if (statm_.valid() && slot().requests > 0 && loop_.now() >= next_look_at_memory_) {
    next_look_at_memory_ = loop_.now() + kPauseBetweenLooksAtMemory;
    if (detail::resident_bytes(statm_.fd()) > parts_.max_rss) return proc::Wear::memory;
  }
  return proc::Wear::none;
}

void Worker::obey(int signal_number) {
  switch (signal_number) {
    case SIGQUIT:
      return start_draining(true);
    case SIGTERM:
      return start_draining(false);
    case SIGINT:
      ended_ = true;
      return;
    case SIGUSR1:
      return reopen_logs();
    case SIGUSR2:
      if (!draining_) look_again();
      return;
    default:
      return;
  }
}

// Adding a descriptor to epoll reports what waits there already.
void Worker::look_again() {
  look_again_.cancel();
  watch_handed_over();
  accepting_ = !full();
  if (accepting_) acceptor_->open();
}

// All are woken: each takes its share.
void Worker::watch_handed_over() {
  stop_taking();
  taking_ = std::make_unique<Loop::Watch>(loop_, parts_.take.fd(), Interest::read,
                                          [this](const Readiness&) { take_handed_over(); });
}

void Worker::stop_taking() {
  take_again_.cancel();
  taking_.reset();
}

void Worker::pause_for_lack() {
  accepting_ = false;
  acceptor_->close();
  stop_taking();
  if (!draining_) look_again_.set(Deadline::in(kPauseWhenShort));
}

void Worker::take_handed_over() {
  const std::size_t share = share_of_connections();
  for (std::size_t taken = 0; taken < kTakeAtOnce; ++taken) {
    if (connections_.size() >= share) {
      stop_taking();
      return take_again_.set(Deadline::in(kMoment));
    }
    if (!take_one()) return;
  }
}

// How many it may have: somewhat more than the mean of the workers that serve beside it; or
// whatever comes, if those take none, though some are waiting.
std::size_t Worker::share_of_connections() {
  std::size_t workers = 1;
  std::size_t total = connections_.size();
  for (const proc::WorkerSlot& sibling : parts_.board.workers) {
    if (&sibling == &slot() || sibling.state != proc::WorkerState::ready ||
        sibling.generation != slot().generation)
      continue;
    ++workers;
    total += sibling.connections;
  }
  moments_ = total == last_total_ ? moments_ + 1 : 0;
  last_total_ = total;
  if (workers == 1 || moments_ > kMostMoments) return connections_.size() + kTakeAtOnce;
  const std::size_t mean = total / workers;
  return mean + mean / 8 + 2;
}

// False: there is none, or no descriptor for it.
bool Worker::take_one() {
  auto socket = intake_->receive(parts_.take);
  if (socket && socket->valid()) intake_->begin(std::move(*socket));
  return socket.has_value();
}

void Worker::begin_connection(UniqueFd socket) {
  if (connections_.size() >= kCrowd) limit_unsent(socket);
  slot().accepted.fetch_add(1, std::memory_order_relaxed);
  net::Stream stream{loop_, std::move(socket)};
  if (parts_.defer_accept) stream.expect_input();
  connections_.spawn(handler_(std::move(stream)));
}

bool Worker::must_close() const noexcept {
  return draining_ && (!hands_over_ || patience_ends_.time() <= loop_.now());
}

// First out of every wait queue, then accept what is there: a connection for which this worker
// alone was woken would otherwise wait for a sibling that nobody wakes.
void Worker::start_draining(bool hand_over) {
  hands_over_ = hand_over && (hands_over_ || !draining_);
  if (!draining_) {
    draining_ = true;
    patience_ends_ = Deadline::in(parts_.graceful_timeout / 2);
    look_again_.cancel();
    stop_taking();
    acceptor_->drain();
    take_rest();
  }
  drain_.raise();
  if (hands_over_) return;
  keep_leaving();
  while (take_one()) {
  }
}

void Worker::take_rest() {
  for (const auto& door : parts_.doors) {
    for (net::Listener* listener : detail::listening(door)) {
      while (auto socket = intake_->accept(*listener)) intake_->begin(std::move(*socket));
      listener->close();
    }
  }
}

void Worker::hand_over(net::Stream stream) {
  if (!hands_over_) return;
  leaving_.push_back(stream.release());
  send_leaving();
}

void Worker::send_leaving() {
  constexpr std::array kNote{std::byte{'c'}};
  while (!leaving_.empty()) {
    const std::array sockets{leaving_.front().fd()};
    const auto result = parts_.give.try_send(kNote, sockets);
    if (result == ipc::Channel::SendResult::full) break;
    if (result == ipc::Channel::SendResult::closed) return keep_leaving();
    leaving_.pop_front();
  }
  if (leaving_.empty()) return room_.reset();
  if (wait_ready(parts_.give.fd(), POLLOUT, Deadline::now()) != 0) {
    // There is room, so too many descriptors are in flight, and no event tells when they have
    // landed.
    room_.reset();
    try_leaving_.set(Deadline::in(kPauseWhenTooManyInFlight));
  } else if (!room_) {
    room_ = std::make_unique<Loop::Watch>(loop_, parts_.give.fd(), Interest::write,
                                          [this](const Readiness&) { send_leaving(); });
  }
}

// Nobody is left to take them: their handlers answer what has arrived, and close.
void Worker::keep_leaving() {
  hands_over_ = false;
  room_.reset();
  try_leaving_.cancel();
  for (UniqueFd& socket : std::exchange(leaving_, {})) begin_connection(std::move(socket));
}

void Worker::reopen_logs() {
  try {
    log_ = parts_.make_logger();
    if (crash_report_) crash_report_->write_to(parts_.open_crash_log());
  } catch (const std::exception& error) {
    log().error("{}", error.what());
  }
  for (const auto& call : at_reopen_) call();
}

}  // namespace procpool::models
