// What answers requests for resources.
//
//   Site site = [](const Request& request) { return make_page(Status::ok, "", "hello\n"); };
//   Reception reception = site(request);
#pragma once

#include <concepts>
#include <functional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "servers/http/page.hpp"
#include "servers/http/request.hpp"
#include "servers/http/responder.hpp"

namespace procpool::http {

// The methods of what can only be looked at, as `Allow` has them.
inline constexpr std::string_view kReading = "GET, HEAD, OPTIONS";

// What a resource with these methods answers to another one: 204 to OPTIONS, else 405.
PagePtr refuse_method(const Request& request, std::string_view allowed = kReading);

// A function that is asked when the head of a request is there. Never blocks for long; what it
// throws becomes a 500. One that gives pages is asked for GET and HEAD only; they are the same to
// it, and to the client but for the body.
class Site {
 public:
  template <typename Function>
    requires std::is_invocable_r_v<Reception, Function&, const Request&>
  Site(Function receive)  // NOLINT(google-explicit-constructor)
      : receive_{std::move(receive)} {}

  template <typename Function>
    requires std::is_invocable_r_v<PagePtr, Function&, const Request&>
  Site(Function page_for)  // NOLINT(google-explicit-constructor)
      : receive_{[page_for = std::move(page_for)](const Request& request) mutable -> Reception {
          if (request.method != Method::get && request.method != Method::head)
            return {.page = refuse_method(request)};
          return {.page = page_for(request)};
        }} {}

  Reception operator()(const Request& request) const { return receive_(request); }

 private:
  std::function<Reception(const Request&)> receive_;
};

}  // namespace procpool::http
