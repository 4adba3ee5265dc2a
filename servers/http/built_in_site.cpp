#include "servers/http/built_in_site.hpp"

#include <unistd.h>

#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "servers/http/detail/status_document.hpp"
#include "servers/http/detail/status_metrics.hpp"
#include "servers/http/detail/status_page.hpp"
#include "servers/http/detail/welcome_page.hpp"
#include "servers/http/loopback_only.hpp"

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

constexpr Resource kWelcome{"/", kHtmlFields, render_welcome_page};
constexpr Resource kStatus[] = {
    {"/status", kHtmlFields, render_status_page},
    {"/status.json", kJsonFields, render_json},
    {"/metrics", kMetricsFields, render_status_metrics},
};

// What has the pages in common: the last look at the CPU time of the workers.
class Pages {
 public:
  explicit Pages(const proc::Scoreboard& board) : board_{board} {}

  PagePtr make(const Resource& resource) {
    const StatusDocument status =
        make_status_document(proc::view_of(board_), std::time(nullptr), ::getpid(), meter_);
    return make_page(Status::ok, resource.fields, resource.render(status));
  }

 private:
  const proc::Scoreboard& board_;
  CpuMeter meter_;
};

}  // namespace

Site make_built_in_site(const proc::Scoreboard& board, const BuiltInSite& how) {
  const auto pages = std::make_shared<Pages>(board);
  Site status = [pages, prefix = how.prefix](const Request& request) {
    for (const Resource& resource : kStatus) {
      if (request.path.starts_with(prefix) && request.path.substr(prefix.size()) == resource.path)
        return pages->make(resource);
    }
    return make_error_page(Status::not_found);
  };
  if (!how.to_all) status = make_loopback_only(std::move(status));
  if (!how.prefix.empty()) return status;
  const Site welcome = [pages](const Request&) { return pages->make(kWelcome); };
  const auto either = [status, welcome](const Request& request) {
    return request.path == kWelcome.path ? welcome(request) : status(request);
  };
  return either;
}

}  // namespace procpool::http
