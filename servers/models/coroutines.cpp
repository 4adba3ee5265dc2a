#include "servers/models/coroutines.hpp"

#include <utility>

#include "servers/models/detail/coroutine_host.hpp"

namespace procpool::models {

Coroutines::Coroutines(net::Listener listener, ServerOptions options)
    : Server{std::move(options)}, listener_{std::move(listener)} {}

void Coroutines::run(const StreamHandler& handler) {
  detail::serve_alone(state(), listener_, handler, {.most = state().options.max_connections});
}

}  // namespace procpool::models
