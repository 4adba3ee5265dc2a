#include "servers/models/detail/inbox.hpp"

#include <sys/eventfd.h>

#include <utility>

#include "ipc/base/error.hpp"

namespace procpool::models::detail {

Inbox::Inbox() : bell_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
  if (!bell_.valid()) throw_errno("eventfd");
}

void Inbox::put(UniqueFd socket) {
  const std::lock_guard lock{mutex_};
  sockets_.push_back(std::move(socket));
  ::eventfd_write(bell_.fd(), 1);
}

std::optional<UniqueFd> Inbox::take() {
  const std::lock_guard lock{mutex_};
  if (sockets_.empty()) return std::nullopt;
  UniqueFd socket = std::move(sockets_.front());
  sockets_.pop_front();
  eventfd_t rings = 0;
  if (sockets_.empty()) ::eventfd_read(bell_.fd(), &rings);
  return socket;
}

std::size_t Inbox::load() const {
  const std::lock_guard lock{mutex_};
  return sockets_.size() + served_;
}

void InboxAcceptor::open() {
  watch_ =
      std::make_unique<Loop::Watch>(loop_, inbox_.fd(), Interest::read, [this](const Readiness&) {
        while (intake_.at_once() > 0) {
          auto socket = inbox_.take();
          if (!socket) return;
          intake_.begin(std::move(*socket));
        }
      });
}

// Nobody else can take what is in there.
void InboxAcceptor::drain() {
  close();
  while (auto socket = inbox_.take()) intake_.begin(std::move(*socket));
}

}  // namespace procpool::models::detail
