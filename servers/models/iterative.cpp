#include "servers/models/iterative.hpp"

#include <utility>

#include "servers/models/detail/coroutine_host.hpp"

namespace procpool::models {

Iterative::Iterative(net::Listener listener, ServerOptions options)
    : Server{std::move(options)}, listener_{std::move(listener)} {}

// By poll(2): a set of descriptors that changes with each client costs no system calls there.
void Iterative::run(const StreamHandler& handler) {
  detail::serve_alone(state(), listener_, handler, {.most = 1, .backend = Poller::Backend::poll});
}

}  // namespace procpool::models
