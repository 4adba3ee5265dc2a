#include "ipc/detail/bell.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>

#include "ipc/base/error.hpp"
#include "ipc/base/event_count.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/owner.hpp"
#include "ipc/detail/segment_file.hpp"

namespace procpool::ipc::detail {
namespace {

constexpr std::string_view kFifoPrefix = "/dev/shm/procpool-bell.";

UniqueFd checked(int fd, std::string_view operation) {
  UniqueFd owned{fd};
  if (!owned.valid()) throw_errno(operation, "bell");
  return owned;
}

void drain(int fd) noexcept {
  std::array<std::byte, 512> bytes;
  while (retry_eintr([&] { return ::read(fd, bytes.data(), bytes.size()); }) ==
         static_cast<ssize_t>(bytes.size())) {
  }
}

void watch(const UniqueFd& epoll, const UniqueFd& fd) {
  epoll_event event{.events = EPOLLIN, .data = {}};
  if (::epoll_ctl(epoll.fd(), EPOLL_CTL_ADD, fd.fd(), &event) < 0) throw_errno("epoll_ctl", "bell");
}

UniqueFd make_timer() {
  UniqueFd timer =
      checked(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd");
  constexpr timespec kPeriod{.tv_sec = 0,
                             .tv_nsec = std::chrono::nanoseconds{kLongestSleep}.count()};
  constexpr itimerspec kTimes{.it_interval = kPeriod, .it_value = kPeriod};
  if (::timerfd_settime(timer.fd(), 0, &kTimes, nullptr) < 0)
    throw_errno("timerfd_settime", "bell");
  return timer;
}

}  // namespace

Bell::Bell() : event_{checked(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")} {}

Bell::Bell(UniqueFd event) : event_{std::move(event)} {}

Bell::Bell(std::string_view name) : segment_path_{segment_path("open", name)}, path_{kFifoPrefix} {
  path_.append(name.substr(1));
}

void Bell::ring() noexcept {
  UniqueFd fifo;
  if (!event_.valid()) {
    fifo = UniqueFd{retry_eintr(
        [&] { return ::open(path_.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW); })};
    if (!fifo.valid()) return;  // nobody polls
  }
  constexpr std::uint64_t kOnce = 1;
  const int fd = event_.valid() ? event_.fd() : fifo.fd();
  // Full: it has been rung.
  static_cast<void>(retry_eintr([&] { return ::write(fd, &kOnce, sizeof kOnce); }));
}

void Bell::open_fifo() {
  if (::mkfifo(path_.c_str(), S_IRUSR | S_IWUSR) < 0 && errno != EEXIST)
    throw_errno("mkfifo", path_);
  event_ = UniqueFd{retry_eintr(
      [&] { return ::open(path_.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW); })};
  if (!event_.valid()) throw_errno("open", path_);
  struct stat status{};
  if (::fstat(event_.fd(), &status) < 0) throw_errno("fstat", path_);
  if (!S_ISFIFO(status.st_mode) || status.st_uid != ::geteuid()) {
    event_.reset();
    throw Error{"open", path_, "it is no FIFO of this user"};
  }
}

bool Bell::is_polled() const noexcept {
  return polled_by_ != 0 && polled_by_ == Owner::this_process().word();
}

int Bell::fd() {
  if (is_polled()) return both_.fd();
  if (!event_.valid()) open_fifo();
  UniqueFd timer = make_timer();
  UniqueFd both = checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  watch(both, event_);
  watch(both, timer);
  timer_ = std::move(timer);
  both_ = std::move(both);
  polled_by_ = Owner::this_process().word();
  return both_.fd();
}

void Bell::silence() noexcept {
  drain(event_.fd());
  drain(timer_.fd());
}

void Bell::remove_name_without_segment() noexcept {
  if (path_.empty() || ::access(segment_path_.c_str(), F_OK) == 0) return;
  ::unlink(path_.c_str());
}

}  // namespace procpool::ipc::detail
