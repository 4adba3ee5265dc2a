#include "ipc/fifo.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/event_count.hpp"
#include "ipc/base/io.hpp"

namespace procpool::ipc {
namespace {

constexpr std::chrono::milliseconds kFirstPause{1};

// Whether any process has it open for writing, without taking a byte from it: tee(2) says 0 when
// there are neither bytes nor writers.
bool has_writer(const UniqueFd& reader, const Pipe& aside) {
  const ssize_t n = ::tee(reader.fd(), aside.writer.fd(), 1, SPLICE_F_NONBLOCK);
  if (n < 0 && errno != EAGAIN) throw_errno("tee", "FIFO");
  return n != 0;
}

}  // namespace

Fifo::Fifo(std::string path, mode_t mode) : path_{std::move(path)} {
  if (::mkfifo(path_.c_str(), mode) == 0) {
    maker_ = ::getpid();
  } else if (errno != EEXIST) {
    throw_errno("make FIFO", path_);
  }
  place_.reset(::open(path_.c_str(), O_PATH | O_CLOEXEC | O_NOFOLLOW));
  struct stat status{};
  if (!place_.valid() || ::fstat(place_.fd(), &status) < 0) throw_errno("open FIFO", path_);
  if (!S_ISFIFO(status.st_mode)) throw Error{"open FIFO", path_, "it is no FIFO"};
}

Fifo::Fifo(Fifo&& other) noexcept
    : path_{std::exchange(other.path_, {})},
      place_{std::move(other.place_)},
      maker_{std::exchange(other.maker_, 0)} {}

Fifo& Fifo::operator=(Fifo&& other) noexcept {
  Fifo taken{std::move(other)};
  std::swap(path_, taken.path_);
  std::swap(place_, taken.place_);
  std::swap(maker_, taken.maker_);
  return *this;
}

Fifo::~Fifo() {
  if (maker_ != ::getpid()) return;
  struct stat own{};
  struct stat named{};
  if (::fstat(place_.fd(), &own) == 0 && ::lstat(path_.c_str(), &named) == 0 &&
      own.st_ino == named.st_ino && own.st_dev == named.st_dev) {
    ::unlink(path_.c_str());
  }
}

UniqueFd Fifo::try_open(int flags) const {
  const std::string self = "/proc/self/fd/" + std::to_string(place_.fd());
  return UniqueFd{
      retry_eintr([&] { return ::open(self.c_str(), flags | O_NONBLOCK | O_CLOEXEC); })};
}

std::optional<PipeReader> Fifo::open_reader(Deadline deadline) const {
  UniqueFd end = try_open(O_RDONLY);
  if (!end.valid()) throw_errno("open FIFO", path_);
  const Pipe aside = make_pipe();
  std::chrono::milliseconds pause = kFirstPause;
  while (!has_writer(end, aside)) {
    if (deadline.expired()) return std::nullopt;
    // Not for nothing: who came, wrote nothing and left is the end of the bytes.
    if (wait_ready(end.fd(), POLLIN, std::min(deadline, Deadline::in(pause))) != 0) break;
    pause = std::min(pause * 2, kLongestSleep);
  }
  set_blocking(end.fd(), Blocking::yes);
  return PipeReader{std::move(end)};
}

std::optional<PipeWriter> Fifo::open_writer(Deadline deadline) const {
  for (std::chrono::milliseconds pause = kFirstPause;; pause = std::min(pause * 2, kLongestSleep)) {
    UniqueFd end = try_open(O_WRONLY);
    if (end.valid()) {
      set_blocking(end.fd(), Blocking::yes);
      return PipeWriter{std::move(end)};
    }
    if (errno != ENXIO) throw_errno("open FIFO", path_);
    if (deadline.expired()) return std::nullopt;
    std::this_thread::sleep_until(std::min(deadline, Deadline::in(pause)).time());
  }
}

}  // namespace procpool::ipc
