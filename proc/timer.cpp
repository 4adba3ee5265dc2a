#include "proc/timer.hpp"

#include <sys/timerfd.h>

#include <algorithm>
#include <string>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"

namespace procpool::proc {
namespace {

using std::chrono::nanoseconds;

timespec to_timespec(nanoseconds time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  return {.tv_sec = seconds.count(), .tv_nsec = (time - seconds).count()};
}

void set_time(int fd, int flags, nanoseconds first, nanoseconds interval) {
  const itimerspec time{.it_interval = to_timespec(interval), .it_value = to_timespec(first)};
  if (::timerfd_settime(fd, flags, &time, nullptr) != 0) throw_errno("timerfd_settime");
}

}  // namespace

Timer::Timer() : fd_{::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)} {
  if (!fd_.valid()) throw_errno("timerfd_create");
}

void Timer::set(Deadline deadline) {
  if (deadline.is_never()) return cancel();
  // Zero would disarm it.
  const nanoseconds time =
      std::max<nanoseconds>(deadline.time().time_since_epoch(), nanoseconds{1});
  set_time(fd_.fd(), TFD_TIMER_ABSTIME, time, nanoseconds{0});
}

void Timer::every(nanoseconds interval) {
  if (interval <= nanoseconds{0}) {
    throw Error{"timerfd_settime", std::to_string(interval.count()) + " ns",
                "an interval is longer than nothing"};
  }
  set_time(fd_.fd(), 0, interval, interval);
}

void Timer::cancel() {
  set_time(fd_.fd(), 0, nanoseconds{0}, nanoseconds{0});
}

std::uint64_t Timer::try_take() {
  std::uint64_t expirations = 0;
  if (retry_eintr([&] { return ::read(fd_.fd(), &expirations, sizeof expirations); }) < 0 &&
      errno != EAGAIN) {
    throw_errno("read", "timer");
  }
  return expirations;
}

}  // namespace procpool::proc
