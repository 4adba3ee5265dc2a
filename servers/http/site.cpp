#include "servers/http/site.hpp"

#include <string>

namespace procpool::http {

PagePtr refuse_method(const Request& request, std::string_view allowed) {
  const std::string allow = std::string{"Allow: "}.append(allowed).append("\r\n");
  if (request.method == Method::options) return make_page(Status::no_content, allow, {});
  return make_error_page(Status::method_not_allowed, allow);
}

}  // namespace procpool::http
