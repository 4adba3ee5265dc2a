#include "proc/alarm.hpp"

#include <unistd.h>

#include <limits>
#include <string>

#include "ipc/base/error.hpp"

namespace procpool::proc {

Alarm::Alarm(std::chrono::seconds after) : made_by_{::getpid()}, signals_{{SIGALRM}} {
  constexpr auto kMost = std::numeric_limits<int>::max();
  const std::string object = std::to_string(after.count()) + " s";
  if (after.count() < 1 || after.count() > kMost) {
    throw Error{"alarm", object, "is not between 1 second and the longest"};
  }
  const unsigned int former = ::alarm(static_cast<unsigned int>(after.count()));
  if (former == 0) return;
  ::alarm(former);
  throw Error{"alarm", object, "another alarm is set"};
}

Alarm::~Alarm() {
  if (::getpid() != made_by_) return;
  ::alarm(0);
  while (signals_.try_next()) {
  }
}

bool Alarm::try_take() {
  return signals_.try_next().has_value();
}

}  // namespace procpool::proc
