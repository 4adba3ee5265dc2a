// procpool-httpd: serves files over HTTP with a master and pre-forked workers.

#include <algorithm>
#include <cstddef>
#include <ctime>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ipc/base/error.hpp"
#include "proc/cpu_count.hpp"
#include "servers/http/built_in_site.hpp"
#include "servers/http/cgi_runner.hpp"
#include "servers/http/cgi_site.hpp"
#include "servers/http/file_site.hpp"
#include "servers/http/mime_types.hpp"
#include "servers/http/options.hpp"
#include "servers/http/protocol.hpp"
#include "servers/http/site_map.hpp"
#include "servers/models/error_log.hpp"
#include "servers/models/log_file.hpp"
#include "servers/models/password.hpp"
#include "servers/models/prefork.hpp"
#include "servers/models/sandbox.hpp"
#include "servers/program/command_line.hpp"
#include "servers/program/serve.hpp"

namespace {

using namespace procpool;

constexpr auto kProgram = "procpool-httpd";

constexpr auto kSystemMimeTypes = "/etc/mime.types";

// The sites of all hosts and paths in this worker.
http::Site make_site(models::Worker& worker, const http::Options& options,
                     const http::MimeTypes& types) {
  std::size_t share = 1 + options.paths.size() + options.hosts.size();
  for (const http::HostSettings& host : options.hosts) share += host.paths.size();
  const auto programs = std::make_shared<http::CgiRunner>(
      worker.loop(), [&worker](std::string_view line) { worker.log().error("{}", line); },
      http::CgiLimits{.timeout = options.cgi_timeout, .programs = options.cgi_programs});
  const auto make = [&](const http::SiteSettings& settings, std::string_view prefix = "/") {
    if (!settings.cgi.empty() && !settings.redirect)
      return http::make_cgi_site(settings, prefix, programs);
    if (settings.root.empty() && !settings.redirect)
      return http::make_built_in_site(worker.board(), {.to_all = options.status_to_all});
    return http::make_file_site(settings, types, worker.loop(), prefix, share);
  };
  if (share == 1 && options.status.empty()) return make(options.site);

  auto map = std::make_shared<http::SiteMap>(make(options.site));
  for (const http::PathSettings& path : options.paths)
    map->add_path({path.prefix, path.suffix}, make(path.site, path.prefix));
  if (!options.status.empty()) {
    map->add_path({options.status},
                  http::make_built_in_site(
                      worker.board(), {.prefix = options.status, .to_all = options.status_to_all}));
  }
  for (const http::HostSettings& host : options.hosts) {
    const std::size_t number = map->add_host(host.names, make(host.site));
    for (const http::PathSettings& path : host.paths)
      map->add_path({path.prefix, path.suffix}, make(path.site, path.prefix), number);
  }
  return [map](const http::Request& request) { return map->find(request)(request); };
}

// Takes a millisecond to make: for all services once.
std::shared_ptr<const models::SandboxFilter> sandbox() {
  static const auto filter =
      std::make_shared<const models::SandboxFilter>(models::SandboxFor::worker);
  return filter;
}

models::Handler make_handler(models::Worker& worker, const http::Options& options,
                             const http::MimeTypes& types) {
  http::Site site = make_site(worker, options, types);
  auto protocol = std::make_shared<http::Protocol>(
      worker, std::move(site),
      http::AccessLogOptions{.path = options.access_log, .format = options.access_log_format},
      http::Limits{.max_body = options.max_body,
                   .header_timeout = options.header_timeout,
                   .idle_timeout = options.idle_timeout,
                   .send_timeout = options.send_timeout},
      http::ErrorPages{options.site, types});
  return [protocol](net::Stream stream) { return protocol->serve(std::move(stream)); };
}

// A client for whom there is no descriptor left is told so by these bytes.
std::string refusal() {
  std::string answer;
  const http::PagePtr page =
      http::make_error_page(http::Status::service_unavailable, "Retry-After: 1\r\n");
  http::append_answer(*page, {}, http::Persistence::close, http::ClockText{std::time(nullptr)},
                      answer);
  return answer;
}

// A limit that was not given is the number of workers; one that was holds for the number that is
// chosen by itself.
void choose_workers(const http::Options& options, models::Service& service) {
  unsigned workers =
      options.workers != 0 ? options.workers : static_cast<unsigned>(proc::available_cpus());
  workers = std::max(workers, options.min_workers);
  if (options.max_workers != 0) workers = std::min(workers, options.max_workers);
  service.workers = workers;
  service.min_workers = options.min_workers != 0 ? options.min_workers : workers;
  service.max_workers = options.max_workers != 0 ? options.max_workers : workers;
}

models::Service make_service(const http::Options& options, http::MimeTypesFile& types) {
  models::Service service;
  for (const std::string& text : options.listen)
    service.listen.push_back(net::Address::parse(text));
  choose_workers(options, service);
  if (options.cpu_affinity)
    service.cpus = options.cpu_affinity->empty() ? models::allowed_cpus() : *options.cpu_affinity;
  service.accept = options.accept;
  service.defer_accept = options.defer_accept;
  service.max_connections = options.max_connections;
  service.graceful_timeout = options.graceful_timeout;
  if (options.timeout.count() != 0) service.hung_after = options.timeout;
  service.max_requests = options.max_requests;
  service.max_requests_jitter = options.max_requests_jitter;
  service.max_rss = options.max_rss;
  service.max_rss_hard = options.max_rss_hard;
  service.run_as = credentials_of(options);
  if (has_sandbox(options)) service.sandbox = sandbox();
  service.refusal = refusal();
  service.make_handler = [options, types = types.current()](models::Worker& worker) {
    return make_handler(worker, options, types);
  };
  service.make_logger = [path = options.error_log] {
    return models::make_error_log(kProgram, path);
  };
  service.open_crash_log = [path = options.error_log] { return models::open_error_log(path); };
  service.prepare_logs = [options, owner = service.run_as] {
    for (const std::string& path : {options.access_log, options.error_log}) {
      if (path != "-" && path != "off") models::make_log_file(path, owner);
    }
  };
  return service;
}

void announce(const std::vector<net::Address>& addresses) {
  for (const net::Address& address : addresses) {
    const std::string text = address.text();
    std::cout << "procpool-httpd is listening on " << (address.is_unix() ? "" : "http://") << text
              << (address.is_unix() ? "" : "/") << std::endl;
  }
}

int run(program::Start& start, const http::CommandLine& command_line) {
  using Action = http::CommandLine::Action;
  if (program::is_common(command_line.action)) return program::run_common(command_line);
  if (command_line.action == Action::own) {
    std::string password;
    if (!std::getline(std::cin, password)) throw Error{"read", "standard input", "no password"};
    std::cout << command_line.hash_password_for << ":" << models::hash_password(password)
              << std::endl;
    return 0;
  }
  const auto first = program::to_begin_with(command_line, start);
  const program::CommandLine& given = first;
  const http::Options options = http::load_options(first);
  http::MimeTypesFile types{kSystemMimeTypes};
  models::Service service = make_service(options, types);
  if (command_line.action == Action::check) {
    std::cout << "the configuration is good" << std::endl;
    return 0;
  }
  const auto serve = [&](const std::function<void()>& on_ready) {
    return program::serve(
        start,
        program::Task<models::Service>{
            .pid_file = options.pid_file,
            .command_line = given,
            .service = std::move(service),
            .reload = [&] { return make_service(http::load_options(command_line), types); },
            .announce = announce},
        [](auto... parts) { return models::Prefork{std::move(parts)...}.run(); }, on_ready);
  };
  // A successor is in the background already.
  if (command_line.daemon && !start.predecessor)
    return program::serve_as_daemon(kProgram, options.error_log, start, serve);
  return serve([] {});
}

}  // namespace

int main(int argc, char** argv) {
  return program::run_program(kProgram, argc, argv, [&](program::Start& start) {
    return run(start, http::parse_command_line(argc, argv));
  });
}
