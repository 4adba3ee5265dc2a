#include "servers/http/built_in_site.hpp"

#include <unistd.h>

#include <ctime>
#include <string>
#include <string_view>

#include "servers/http/detail/status_document.hpp"
#include "servers/http/detail/status_metrics.hpp"
#include "servers/http/detail/status_page.hpp"
#include "servers/http/detail/welcome_page.hpp"

namespace procpool::http {
namespace {

struct Resource {
  std::string_view path;
  std::string_view fields;
  std::string (*render)(const StatusDocument&);
};

std::string render_json(const StatusDocument& status) {
  return status.dump(2, ' ', false, StatusDocument::error_handler_t::replace).append("\n");
}

constexpr std::string_view kHtmlFields =
    "Content-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n";
constexpr std::string_view kJsonFields =
    "Content-Type: application/json\r\nCache-Control: no-store\r\n";

constexpr std::string_view kMetricsFields =
    "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\nCache-Control: no-store\r\n";

constexpr Resource kResources[] = {
    {"/", kHtmlFields, render_welcome_page},
    {"/status", kHtmlFields, render_status_page},
    {"/status.json", kJsonFields, render_json},
    {"/metrics", kMetricsFields, render_status_metrics},
};

}  // namespace

Site make_built_in_site(const proc::Scoreboard& board) {
  return [&board, meter = CpuMeter{}](const Request& request) mutable {
    for (const Resource& resource : kResources) {
      if (request.path != resource.path) continue;
      const StatusDocument status =
          make_status_document(proc::view_of(board), std::time(nullptr), ::getpid(), meter);
      return make_page(Status::ok, resource.fields, resource.render(status));
    }
    return make_error_page(Status::not_found);
  };
}

}  // namespace procpool::http
