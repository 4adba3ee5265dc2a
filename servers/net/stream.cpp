#include "servers/net/stream.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <utility>

#include "ipc/base/io.hpp"

namespace procpool::net {
namespace {

bool would_block(int error) noexcept {
  return error == EAGAIN || error == EWOULDBLOCK;
}

// A file this large is sent in turns, so that the other connections of the loop are served in
// between.
constexpr std::size_t kMostAtOnce = std::size_t{1} << 20;

// So is what a client sends faster than it can be answered.
constexpr int kMostWithoutWaiting = 32;

}  // namespace

struct Stream::State final : Loop::Receiver {
  State(Loop& its_loop, UniqueFd its_socket, Traffic* its_traffic)
      : socket{std::move(its_socket)}, traffic{its_traffic}, timer{its_loop, *this} {}

  Loop& loop() const noexcept { return timer.loop(); }

  void wait(Operation& operation) {
    pending = &operation;
    if (watch) {
      watch->set_interest(operation.interest());
    } else {
      watch.emplace(loop(), socket.fd(), operation.interest(), *this);
    }
    timer.set(operation.deadline_);
  }

  void on_ready(const Readiness&) override {
    if (pending == nullptr)
      return watch.reset();  // level-triggered: nobody wants to know, so ask no more
    maybe_unread = true;
    if (pending->attempt()) {
      resume();
    } else {
      timer.set(pending->deadline_);
    }
  }

  // A timer that fires with nobody waiting is a leftover of a wait that ended well: cancelling it
  // there would cost more than ignoring it here.
  void on_deadline() override {
    if (pending != nullptr) end_with(ETIMEDOUT);
  }

  void end_with(int error) {
    pending->finish(error);
    resume();
  }

  void resume() {
    without_waiting = 0;
    std::exchange(pending, nullptr)->waiter_.resume();  // which may destroy this
  }

  UniqueFd socket;
  std::uint16_t without_waiting = 0;  // operations since the last wait
  bool maybe_unread = false;          // false: the last read took all that was there
  Traffic* traffic;
  std::optional<Loop::Watch> watch;
  Loop::Timer timer;
  Operation* pending = nullptr;
};

Stream::Stream(Loop& loop, UniqueFd socket, Traffic* traffic)
    : state_{std::make_unique<State>(loop, std::move(socket), traffic)} {}
Stream::Stream(Stream&&) noexcept = default;
Stream& Stream::operator=(Stream&&) noexcept = default;
Stream::~Stream() = default;

void Stream::expect_input() noexcept {
  state_->maybe_unread = true;
}

Stream::Readable Stream::readable(Deadline deadline) {
  return {*state_, deadline, nullptr};
}

Stream::Readable Stream::readable(Deadline deadline, Interrupt& interrupt) {
  return {*state_, deadline, &interrupt};
}

Stream::ReadSome Stream::read_some(std::span<char> buffer, Deadline deadline) {
  return {*state_, buffer, deadline};
}

Stream::Write Stream::write(std::string_view bytes, Deadline deadline, More more) {
  return {*state_, bytes, deadline, more};
}

Stream::SendFile Stream::send_file(int file, off_t offset, std::size_t length,
                                   Deadline::Clock::duration patience) {
  return {*state_, file, offset, length, patience};
}

void Stream::shutdown_write() noexcept {
  ::shutdown(state_->socket.fd(), SHUT_WR);
}

int Stream::fd() const noexcept {
  return state_->socket.fd();
}

UniqueFd Stream::release() {
  state_->watch.reset();
  UniqueFd socket = std::move(state_->socket);
  state_.reset();
  return socket;
}

bool Stream::Operation::await_ready() {
  return ++state_.without_waiting <= kMostWithoutWaiting && attempt();
}

void Stream::Operation::await_suspend(std::coroutine_handle<> waiter) {
  waiter_ = waiter;
  state_.wait(*this);
}

Stream::Operation::~Operation() {
  if (state_.pending == this) state_.pending = nullptr;
}

bool Stream::Operation::finish(int error) noexcept {
  result_.error = error;
  return true;
}

bool Stream::Interruptible::await_ready() {
  return interrupt_raised() ? attempt() : Operation::await_ready();
}

void Stream::Interruptible::await_suspend(std::coroutine_handle<> waiter) {
  if (interrupt_ != nullptr) interrupt_->add(*this);
  Operation::await_suspend(waiter);
}

void Stream::Interruptible::interrupted() {
  state_.end_with(ECANCELED);
}

bool Stream::Readable::attempt() {
  if (interrupt_raised()) return finish(ECANCELED);
  // A read that has filled its buffer may have taken all.
  if (state_.maybe_unread && !was_woken())
    state_.maybe_unread = wait_ready(state_.socket.fd(), POLLIN, Deadline::now()) != 0;
  return state_.maybe_unread;
}

bool Stream::Departure::begin(std::coroutine_handle<> waiter) {
  if (interrupt_raised()) return !finish(ECANCELED);
  await_suspend(waiter);
  return true;
}

// What has arrived is for others to read, and would be reported again and again.
bool Stream::Departure::attempt() {
  if (wait_ready(state_.socket.fd(), POLLRDHUP, Deadline::now()) != 0) return finish(ECONNRESET);
  state_.watch->set_interest(Interest::none);
  return false;
}

bool Stream::ReadSome::attempt() {
  if (!state_.maybe_unread) return false;
  const ssize_t n =
      retry_eintr([&] { return ::recv(state_.socket.fd(), buffer_.data(), buffer_.size(), 0); });
  state_.maybe_unread = n == static_cast<ssize_t>(buffer_.size());
  if (n < 0) return would_block(errno) ? false : finish(errno);
  if (n > 0 && state_.traffic != nullptr) state_.traffic->count(static_cast<std::size_t>(n));
  result_.bytes = static_cast<std::size_t>(n);
  return true;
}

bool Stream::Write::attempt() {
  const int flags = MSG_NOSIGNAL | (more_ == More::yes ? MSG_MORE : 0);
  while (!bytes_.empty()) {
    const ssize_t n = retry_eintr(
        [&] { return ::send(state_.socket.fd(), bytes_.data(), bytes_.size(), flags); });
    if (n < 0) return would_block(errno) ? false : finish(errno);
    bytes_.remove_prefix(static_cast<std::size_t>(n));
    result_.bytes += static_cast<std::size_t>(n);
  }
  return true;
}

Stream::ReceiveFile Stream::receive_file(int file, ipc::Pipe& pipe, std::size_t most,
                                         Deadline deadline) {
  return {*state_, file, pipe, most, deadline};
}

Stream::SendFile::SendFile(State& state, int file, off_t offset, std::size_t length,
                           Deadline::Clock::duration patience) noexcept
    : Operation{state, Deadline::after(state.loop().now(), patience)},
      file_{file},
      offset_{offset},
      left_{length},
      patience_{patience} {}

bool Stream::SendFile::attempt() {
  std::size_t budget = kMostAtOnce;
  while (left_ > 0 && budget > 0) {
    const ssize_t n = retry_eintr(
        [&] { return ::sendfile(state_.socket.fd(), file_, &offset_, std::min(left_, budget)); });
    if (n == 0) return finish(EIO);
    if (n < 0) {
      if (would_block(errno)) break;
      return finish(errno);
    }
    left_ -= static_cast<std::size_t>(n);
    budget -= static_cast<std::size_t>(n);
    result_.bytes += static_cast<std::size_t>(n);
    extend(Deadline::after(state_.loop().now(), patience_));
  }
  return left_ == 0;
}

bool Stream::ReceiveFile::attempt() {
  if (!state_.maybe_unread) return false;
  left_ = std::min(left_, kMostAtOnce);
  while (left_ > 0) {
    const ssize_t n = retry_eintr([&] {
      return ::splice(state_.socket.fd(), nullptr, pipe_.writer.fd(), nullptr, left_,
                      SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    });
    if (n == 0) break;
    if (n < 0) {
      if (!would_block(errno)) return finish(errno);
      state_.maybe_unread = false;
      return result_.bytes > 0;
    }
    if (!empty_pipe(static_cast<std::size_t>(n))) break;
    left_ -= static_cast<std::size_t>(n);
  }
  return true;
}

bool Stream::ReceiveFile::empty_pipe(std::size_t bytes) {
  while (bytes > 0) {
    const ssize_t n = retry_eintr(
        [&] { return ::splice(pipe_.reader.fd(), nullptr, file_, nullptr, bytes, SPLICE_F_MOVE); });
    if (n <= 0) {
      of_file_ = true;
      return !finish(n < 0 ? errno : ENOSPC);
    }
    bytes -= static_cast<std::size_t>(n);
    result_.bytes += static_cast<std::size_t>(n);
  }
  return true;
}

}  // namespace procpool::net
