#include "servers/models/detail/listener_acceptor.hpp"

#include <algorithm>
#include <iterator>

namespace procpool::models::detail {

std::vector<net::Listener*> listening(const std::vector<net::Listener*>& sockets) {
  std::vector<net::Listener*> result;
  std::ranges::copy_if(sockets, std::back_inserter(result), &net::Listener::is_listening);
  return result;
}

std::vector<net::Listener*> ListenerAcceptor::chosen() const {
  std::vector<net::Listener*> result;
  for (const auto& door : doors_) {
    const auto sockets = listening(door);
    for (const std::size_t number : choose_(sockets.size())) result.push_back(sockets[number]);
  }
  return result;
}

// Adding a descriptor to epoll reports what waits there already: so this is also how a worker looks
// again.
void ListenerAcceptor::open() {
  watches_.clear();
  for (const net::Listener* listener : chosen()) {
    watches_.push_back(std::make_unique<Loop::Watch>(
        loop_, listener->fd(), Interest::read_exclusive, [this, listener](const Readiness&) {
          for (auto left = intake_.at_once(); left > 0; --left) {
            auto socket = intake_.accept(*listener);
            if (!socket) return;
            intake_.begin(std::move(*socket));
          }
        }));
  }
}

// One more, beyond the limit, is taken from each: this worker alone may have been woken for it, and
// nobody would wake a sibling.
void ListenerAcceptor::step_aside() {
  close();
  for (const net::Listener* listener : chosen()) {
    if (auto socket = intake_.accept(*listener)) intake_.begin(std::move(*socket));
  }
}

}  // namespace procpool::models::detail
