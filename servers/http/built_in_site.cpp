#include "servers/http/built_in_site.hpp"
namespace procpool::http {
Site make_built_in_site(const proc::Scoreboard&) {
  return [](const Request&) { return make_error_page(Status::not_found); };
}
}  // namespace procpool::http
