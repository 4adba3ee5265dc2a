#include "proc/interval_timer.hpp"

#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <string>

#include "ipc/base/error.hpp"

namespace procpool::proc {
namespace {

using std::chrono::microseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

struct Facts {
  int which;
  int signal_number;
};

constexpr std::array<Facts, 3> kClocks{
    {{ITIMER_REAL, SIGALRM}, {ITIMER_VIRTUAL, SIGVTALRM}, {ITIMER_PROF, SIGPROF}}};

const Facts& facts_of(IntervalTimer::Clock clock) {
  return kClocks[static_cast<std::size_t>(clock)];
}

timeval to_timeval(nanoseconds time) {
  const auto rounded = std::chrono::ceil<microseconds>(time);
  const auto whole = std::chrono::floor<seconds>(rounded);
  return {.tv_sec = whole.count(), .tv_usec = (rounded - whole).count()};
}

void arm(int which, nanoseconds first, nanoseconds interval) {
  const itimerval time{.it_interval = to_timeval(interval), .it_value = to_timeval(first)};
  if (::setitimer(static_cast<__itimer_which>(which), &time, nullptr) != 0)
    throw_errno("setitimer");
}

}  // namespace

IntervalTimer::IntervalTimer(Clock clock)
    : made_by_{::getpid()},
      which_{facts_of(clock).which},
      signals_{{facts_of(clock).signal_number}} {
  if (remaining() != microseconds{0}) {
    throw Error{"setitimer", "", "this timer of the process is set already"};
  }
}

IntervalTimer::~IntervalTimer() {
  if (::getpid() != made_by_) return;
  const itimerval never{};
  ::setitimer(static_cast<__itimer_which>(which_), &never, nullptr);
  while (signals_.try_next()) {
  }
}

void IntervalTimer::set(nanoseconds first, nanoseconds interval) {
  if (first <= nanoseconds{0} || interval < nanoseconds{0}) {
    throw Error{"setitimer", std::to_string(first.count()) + " ns",
                "a time is longer than nothing"};
  }
  arm(which_, first, interval);
}

void IntervalTimer::cancel() {
  arm(which_, nanoseconds{0}, nanoseconds{0});
}

microseconds IntervalTimer::remaining() const {
  itimerval time{};
  if (::getitimer(static_cast<__itimer_which>(which_), &time) != 0) throw_errno("getitimer");
  return seconds{time.it_value.tv_sec} + microseconds{time.it_value.tv_usec};
}

bool IntervalTimer::try_take() {
  return signals_.try_next().has_value();
}

}  // namespace procpool::proc
