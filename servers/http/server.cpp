#include "servers/http/server.hpp"

#include <algorithm>

#include "ipc/base/error.hpp"
#include "servers/models/error_log.hpp"

namespace procpool::http {

const std::string& Context::parameter(std::string_view name) const {
  const auto found = std::find_if(parameters_.begin(), parameters_.end(),
                                  [&](const auto& parameter) { return parameter.first == name; });
  if (found == parameters_.end()) throw Error{"parameter", name, "the route has none of this name"};
  return found->second;
}

std::optional<std::string> Context::query(std::string_view name) const {
  return find_field(parse_form(request_.query), name);
}

models::TaskPool& Context::pool() const {
  if (facilities_.pool == nullptr) throw Error{"use", "pool", "the server was given none"};
  return *facilities_.pool;
}

// Shares the context with the source of its answer.
class Server::RouteResponder final : public Responder {
 public:
  RouteResponder(const Handler& handler, std::shared_ptr<Context> context)
      : handler_{handler}, context_{std::move(context)} {}

  void write(std::string_view body) override { context_->body_.write(body); }

  net::Task<PagePtr> respond(Exchange exchange) override {
    context_->client_ = exchange.client;
    if (const auto* const handle = std::get_if<Deferred>(&handler_)) {
      Response response = co_await (*handle)(*context_);
      co_return std::move(response).page(context_);
    }
    co_return std::get<WithBody>(handler_)(*context_).page(context_);
  }

 private:
  const Handler& handler_;
  std::shared_ptr<Context> context_;
};

Server& Server::add_handler(Method method, std::string_view pattern, Handler handler) {
  routes_->router.add(method, pattern, routes_->handlers.size());
  routes_->handlers.push_back(std::move(handler));
  return *this;
}

Site Server::site(const Facilities& facilities) const {
  return [routes = std::shared_ptr<const Routes>{routes_},
          facilities](const Request& request) -> Reception {
    Router::Route route = routes->router.find(request.method, request.path);
    if (route.status == Status::method_not_allowed)
      return {.page = refuse_method(request, route.allowed)};
    if (route.status != Status::ok) return {.page = make_error_page(route.status)};
    const Handler& handler = routes->handlers[route.target];
    if (const auto* const handle = std::get_if<Immediate>(&handler))
      return {.page = (*handle)(request).page()};
    auto context = std::make_shared<Context>(request, std::move(route.parameters), facilities);
    return {.responder = std::make_unique<RouteResponder>(handler, std::move(context))};
  };
}

models::MakeHandler Server::make_handler(const ServerOptions& options) const {
  return [server = *this, limits = options.limits, access_log = options.access_log,
          pool_options = options.pool](models::Worker& worker) -> models::Handler {
    std::shared_ptr<models::TaskPool> pool;
    if (pool_options) pool = std::make_shared<models::TaskPool>(worker.loop(), *pool_options);
    const auto protocol = std::make_shared<Protocol>(
        worker, server.site({.loop = worker.loop(), .pool = pool.get()}), access_log, limits);
    return [pool, protocol](net::Stream stream) { return protocol->serve(std::move(stream)); };
  };
}

int Server::run(ServerOptions options) const {
  models::Service service = std::move(options.service);
  service.make_handler = make_handler(options);
  if (!service.make_logger)
    service.make_logger = [] { return models::make_error_log("http", "-"); };
  return models::Prefork{
      service, {.reload = [&] { return service; }, .on_serving = std::move(options.on_serving)}}
      .run();
}

}  // namespace procpool::http
