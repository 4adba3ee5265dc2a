#include "servers/models/worker.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <exception>
#include <limits>
#include <string>
#include <utility>
#include <variant>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"

namespace procpool::models {
namespace {

using namespace std::chrono_literals;

// Taken at one wake-up; the rest wakes a sibling, so that no worker swallows a burst alone.
constexpr std::size_t kAcceptAtOnce = 8;
constexpr std::size_t kRefuseAtOnce = 64;

// A shortage of descriptors or memory ends without an event that could be waited for.
constexpr auto kPauseWhenShort = 100ms;
constexpr auto kPauseWhenTooManyInFlight = 10ms;

// So many in the time after which a worker counts as hung.
constexpr int kBeatsInALimit = 4;

// Memory grows with work: a worker that sleeps need not be woken to look, and one that has done
// nothing yet is no better than its successor.
constexpr auto kPauseBetweenLooksAtMemory = 250ms;

// The second number, in pages: statm in proc(5).
std::uint64_t resident_bytes(int statm_fd) noexcept {
  static const auto page_size = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  std::array<char, 128> text{};
  if (::pread(statm_fd, text.data(), text.size() - 1, 0) <= 0) return 0;
  char* rest = nullptr;
  std::strtoull(text.data(), &rest, 10);
  return std::strtoull(rest, nullptr, 10) * page_size;
}

UniqueFd open_spare() {
  return UniqueFd{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
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
      look_again_{loop_, [this] { look_again(); }},
      spare_{open_spare()},
      try_leaving_{loop_, [this] { send_leaving(); }},
      connections_{[this](std::exception_ptr error) {
        log().error("a connection ended by an exception: {}", text_of(error));
      }} {
  parts_.slot.reset_counters();
  if (parts_.open_crash_log) crash_report_.emplace(parts_.open_crash_log());
}

int Worker::run(const MakeHandler& make_handler, proc::ChildContext& context) {
  if (parts_.max_rss != 0) {
    statm_ = UniqueFd{::open("/proc/self/statm", O_RDONLY | O_CLOEXEC)};
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
  slot().connections.store(connections_.size(), std::memory_order_relaxed);
  if (draining_) {
    ended_ = ended_ || (connections_.size() == 0 && leaving_.empty());
  } else if (full() && !accepting_.empty()) {
    leave_listeners_to_siblings();
  } else if (!full() && accepting_.empty() && look_again_.deadline().is_never()) {
    watch_listeners();
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
    if (resident_bytes(statm_.fd()) > parts_.max_rss) return proc::Wear::memory;
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

// Adding a descriptor to epoll reports what waits there already: so this is also how a worker looks
// again.
void Worker::look_again() {
  look_again_.cancel();
  taking_.reset();
  taking_ = std::make_unique<Loop::Watch>(loop_, parts_.take.fd(), Interest::read_exclusive,
                                          [this](const Readiness&) { take_handed_over(); });
  accepting_.clear();
  if (!full()) watch_listeners();
}

void Worker::watch_listeners() {
  for (const net::Listener* listener : parts_.listeners) {
    accepting_.push_back(std::make_unique<Loop::Watch>(
        loop_, listener->fd(), Interest::read_exclusive, [this, listener](const Readiness&) {
          accept_from(*listener, std::min(kAcceptAtOnce, room()));
        }));
  }
}

// One more, beyond the limit, is taken from each: this worker alone may have been woken for it, and
// nobody would wake a sibling.
void Worker::leave_listeners_to_siblings() {
  accepting_.clear();
  for (const net::Listener* listener : parts_.listeners) accept_from(*listener, 1);
}

void Worker::accept_from(const net::Listener& listener, std::size_t at_most) {
  for (std::size_t accepted = 0; accepted < at_most; ++accepted) {
    auto result = listener.try_accept();
    if (auto* socket = std::get_if<UniqueFd>(&result)) {
      begin_connection(std::move(*socket));
      continue;
    }
    const int error = std::get<int>(result);
    if (error == EAGAIN || error == EWOULDBLOCK) return;
    if (!std::exchange(refused_for_lack_, true)) {
      log().error("accept on {}: {}; refusing connections until that ends",
                  listener.address().text(), error_text(error));
    }
    if (error == EMFILE || error == ENFILE) refuse_some(listener);
    return pause_for_lack();
  }
}

// Closing the reserve makes room for one client at a time: each learns what is wrong instead of
// hanging in the queue. What it has sent is read first, because closing over unread data resets the
// connection, and the reset can overtake the answer.
void Worker::refuse_some(const net::Listener& listener) {
  std::array<char, 4096> unread;
  spare_.reset();
  for (std::size_t refused = 0; refused < kRefuseAtOnce; ++refused) {
    auto result = listener.try_accept();
    const auto* socket = std::get_if<UniqueFd>(&result);
    if (socket == nullptr) break;
    while (::recv(socket->fd(), unread.data(), unread.size(), MSG_DONTWAIT) ==
           static_cast<ssize_t>(unread.size())) {
    }
    ::send(socket->fd(), parts_.refusal.data(), parts_.refusal.size(), MSG_NOSIGNAL);
    ::shutdown(socket->fd(), SHUT_WR);
  }
  spare_ = open_spare();
}

void Worker::pause_for_lack() {
  accepting_.clear();
  taking_.reset();
  if (!draining_) look_again_.set(Deadline::in(kPauseWhenShort));
}

void Worker::take_handed_over() {
  for (std::size_t taken = 0; taken < kAcceptAtOnce; ++taken) {
    if (!has_spare()) return pause_for_lack();
    if (!take_one()) return;
  }
}

// Whether there is room for one descriptor more.
bool Worker::has_spare() {
  if (!spare_.valid()) spare_ = open_spare();
  return spare_.valid();
}

// False: there is none. The reserve makes room for the descriptor: one that comes without room is
// lost.
bool Worker::take_one() {
  std::array<std::byte, 16> note;
  spare_.reset();
  auto received = parts_.take.try_receive(note);
  if (received.descriptors_lost) log().error("a connection is lost: no descriptor was left for it");
  if (received.descriptor_count == 1) begin_connection(std::move(received.descriptors[0]));
  spare_ = open_spare();
  return received.outcome == ipc::Channel::Outcome::message;
}

void Worker::begin_connection(UniqueFd socket) {
  refused_for_lack_ = false;
  slot().accepted.fetch_add(1, std::memory_order_relaxed);
  connections_.spawn(handler_(net::Stream{loop_, std::move(socket)}));
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
    accepting_.clear();
    taking_.reset();
    for (net::Listener* listener : parts_.listeners) {
      accept_from(*listener, std::numeric_limits<std::size_t>::max());
      listener->close();
    }
  }
  drain_.raise();
  if (hands_over_) return;
  keep_leaving();
  while (has_spare() && take_one()) {
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
