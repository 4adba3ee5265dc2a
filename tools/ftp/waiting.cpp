#include "tools/ftp/waiting.hpp"

#include <poll.h>

#include <array>

#include "ipc/base/error.hpp"
#include "tools/ftp/failure.hpp"
#include "tools/text.hpp"

namespace procpool::ftp_client {

bool Interrupts::take() {
  bool taken = false;
  while (signals_.try_next()) taken = true;
  return taken;
}

bool Waiting::ready_by(int fd, short events, Deadline deadline) const {
  const int interrupt = interrupts_ != nullptr ? interrupts_->fd() : -1;
  std::array<pollfd, 2> both{{{.fd = fd, .events = events, .revents = 0},
                              {.fd = interrupt, .events = POLLIN, .revents = 0}}};
  for (;;) {
    const int ready = ::poll(both.data(), both.size(), deadline.poll_timeout());
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) throw_errno("poll");
    if (both[1].revents != 0 && interrupts_->take()) throw Interrupted{};
    if (both[0].revents != 0) return true;
    if (deadline.expired()) return false;
  }
}

void Waiting::for_events(int fd, short events, Deadline deadline, std::string_view operation,
                         std::string_view object) const {
  if (ready_by(fd, events, deadline)) return;
  throw Failure{
      ExitCode::timed_out, operation, object,
      demo::text("nothing came for ", static_cast<double>(timeout_.count()) / 1000, " s")};
}

void Waiting::for_events(int fd, short events, std::string_view operation,
                         std::string_view object) const {
  for_events(fd, events, deadline(), operation, object);
}

}  // namespace procpool::ftp_client
