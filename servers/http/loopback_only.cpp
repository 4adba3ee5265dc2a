#include "servers/http/loopback_only.hpp"

#include <memory>
#include <utility>

#include "servers/http/error_page.hpp"
#include "servers/http/responder.hpp"

namespace procpool::http {
namespace {

class FromLoopback final : public Responder {
 public:
  explicit FromLoopback(std::shared_ptr<const Site> inner) : inner_{std::move(inner)} {}

  void write(std::string_view) override {}
  net::Task<PagePtr> respond(Exchange exchange) override {
    if (!is_loopback(exchange.client)) co_return make_error_page(Status::forbidden);
    co_return (*inner_)(exchange.request).page;
  }

 private:
  std::shared_ptr<const Site> inner_;
};

}  // namespace

Site make_loopback_only(Site inner) {
  return [shared = std::make_shared<const Site>(std::move(inner))](const Request&) {
    return Reception{.responder = std::make_unique<FromLoopback>(shared)};
  };
}

bool is_loopback(std::string_view client) noexcept {
  return client.starts_with("127.") || client == "::1" || client == "unix";
}

}  // namespace procpool::http
