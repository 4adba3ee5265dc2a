// What answers requests for resources.
//
//   Site site = [](const Request& request) { return make_page(Status::ok, "", "hello\n"); };
//   PagePtr page = site(request);
#pragma once

#include <concepts>
#include <functional>
#include <utility>

#include "servers/http/page.hpp"
#include "servers/http/request.hpp"
#include "servers/http/store.hpp"

namespace procpool::http {

// Answers GET and HEAD alike, without a body of their own. Never blocks for long; what it throws
// becomes a 500. Where clients may change something it has a Store too.
class Site {
 public:
  using Answer = std::function<PagePtr(const Request&)>;
  using StoreOf = std::function<Store*(const Request&)>;

  template <typename Function>
    requires std::invocable<Function&, const Request&>
  Site(Function answer, StoreOf store_of = nullptr)  // NOLINT(google-explicit-constructor)
      : answer_{std::move(answer)}, store_of_{std::move(store_of)} {}

  PagePtr operator()(const Request& request) const { return answer_(request); }

  // Nullptr: nothing can be changed there.
  Store* store(const Request& request) const { return store_of_ ? store_of_(request) : nullptr; }

 private:
  Answer answer_;
  StoreOf store_of_;
};

}  // namespace procpool::http
