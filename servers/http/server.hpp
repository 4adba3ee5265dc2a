// A server of one's own: functions for methods and paths.
//
//   http::Server server;
//   server.get("/hello", [](const http::Request&) { return http::text("hi"); });
//   server.get("/users/{id}", [](http::Context& c) { return http::text(c.parameter("id")); });
//   server.post("/sums", [](http::Context& c) -> net::Task<http::Response> {
//     co_return http::text(std::to_string(co_await c.pool().call(&add_up, c.body().text())));
//   });
//   return server.run({.service = {.listen = {net::Address::parse("127.0.0.1:8000")}}});
#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "ipc/base/loop.hpp"
#include "proc/pool.hpp"
#include "servers/http/form.hpp"
#include "servers/http/protocol.hpp"
#include "servers/http/request.hpp"
#include "servers/http/response.hpp"
#include "servers/http/router.hpp"
#include "servers/http/site.hpp"
#include "servers/http/spooled_body.hpp"
#include "servers/models/prefork.hpp"
#include "servers/models/task_pool.hpp"
#include "servers/net/task.hpp"

namespace procpool::http {

// What a handler may use of its worker. The loop is for waits: net/wait.hpp.
struct Facilities {
  Loop& loop;
  models::TaskPool* pool = nullptr;
};

// One request for one handler, with its body. It lives until the answer is sent: a generator of the
// answer may use it too.
class Context {
 public:
  using Parameters = std::vector<std::pair<std::string, std::string>>;

  Context(const Request& request, Parameters parameters, const Facilities& facilities) noexcept
      : request_{request}, parameters_{std::move(parameters)}, facilities_{facilities} {}
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const Request& request() const noexcept { return request_; }
  std::string_view client() const noexcept { return client_; }  // its address

  // Of the pattern "/users/{id}", decoded: any text but "", "." and "..", with '/' too. Throws
  // Error: there is no such parameter.
  const std::string& parameter(std::string_view name) const;

  // Of the query, decoded; nullopt: it is not there.
  std::optional<std::string> query(std::string_view name) const;

  const SpooledBody& body() const noexcept { return body_; }
  FormFields form() const { return parse_form(body_.text()); }

  Loop& loop() const noexcept { return facilities_.loop; }
  models::TaskPool& pool() const;  // throws Error: the server was given none

 private:
  friend class Server;

  const Request& request_;
  Parameters parameters_;
  Facilities facilities_;
  std::string_view client_;
  SpooledBody body_;
};

// Everything that Prefork is told, and what is on top of it. make_handler is the server's own.
struct ServerOptions {
  models::Service service{};  // without make_logger, the error log is standard error
  Limits limits{};
  AccessLogOptions access_log{};
  std::optional<proc::PoolOptions> pool{};                             // one for each worker
  std::function<void(const std::vector<net::Address>&)> on_serving{};  // see models::Hooks
};

// Handlers are functions of a `const Request&`, or of a `Context&` when parameters or the body are
// wanted, and give a Response, or a net::Task<Response> if they wait: nothing may block, for the
// worker serves all its other clients meanwhile. What a handler throws is 500 and a line in the
// error log; of a pool, 504 for what ran beyond its deadline and 503 when no worker can be started.
// A client that closes its side of the connection is gone: what was under way for it is destroyed.
//
// 404, 405 with Allow, HEAD (by GET) and OPTIONS are answered by the server. Conditions and ranges
// are applied to files.
//
// Routes are added before it serves. Handlers run in the workers: each has a copy of what they own,
// made by fork.
class Server {
 public:
  // Throw Error: as Router::add.
  template <typename Handler>
  Server& get(std::string_view pattern, Handler handler) {
    return add(Method::get, pattern, std::move(handler));
  }
  template <typename Handler>
  Server& post(std::string_view pattern, Handler handler) {
    return add(Method::post, pattern, std::move(handler));
  }
  template <typename Handler>
  Server& put(std::string_view pattern, Handler handler) {
    return add(Method::put, pattern, std::move(handler));
  }
  template <typename Handler>
  Server& patch(std::string_view pattern, Handler handler) {
    return add(Method::patch, pattern, std::move(handler));
  }
  template <typename Handler>
  Server& delete_(std::string_view pattern, Handler handler) {
    return add(Method::delete_, pattern, std::move(handler));
  }

  template <typename Handler>
  Server& add(Method method, std::string_view pattern, Handler handler) {
    if constexpr (std::is_invocable_v<Handler&, const Request&>) {
      static_assert(std::same_as<std::invoke_result_t<Handler&, const Request&>, Response>,
                    "a handler of a Request gives a Response; one that waits needs the Context");
      return add_handler(method, pattern, Immediate{std::move(handler)});
    } else if constexpr (std::same_as<std::invoke_result_t<Handler&, Context&>, Response>) {
      return add_handler(method, pattern, WithBody{std::move(handler)});
    } else {
      return add_handler(method, pattern, Deferred{std::move(handler)});
    }
  }

  // The routes, for a Protocol. The facilities must outlive it.
  Site site(const Facilities& facilities) const;

  // What a models::Service runs in its workers, for a program that makes its own Prefork.
  models::MakeHandler make_handler(const ServerOptions& options) const;

  // Serves until it is told to stop; see Prefork::run().
  int run(ServerOptions options) const;

 private:
  using Immediate = std::function<Response(const Request&)>;
  using WithBody = std::function<Response(Context&)>;
  using Deferred = std::function<net::Task<Response>(Context&)>;
  using Handler = std::variant<Immediate, WithBody, Deferred>;

  struct Routes {
    Router router;
    std::vector<Handler> handlers;
  };
  class RouteResponder;

  Server& add_handler(Method method, std::string_view pattern, Handler handler);

  std::shared_ptr<Routes> routes_ = std::make_shared<Routes>();
};

}  // namespace procpool::http
