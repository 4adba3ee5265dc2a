// procpool-httpd: serves files over HTTP with a master and pre-forked workers.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>
#include <ctime>
#include <exception>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ipc/base/error.hpp"
#include "proc/cpu_count.hpp"
#include "proc/pid_file.hpp"
#include "servers/http/basic_authentication.hpp"
#include "servers/http/built_in_site.hpp"
#include "servers/http/control.hpp"
#include "servers/http/file_site.hpp"
#include "servers/http/options.hpp"
#include "servers/http/protocol.hpp"
#include "servers/http/reload_record.hpp"
#include "servers/http/site_map.hpp"
#include "servers/models/error_log.hpp"
#include "servers/models/log_file.hpp"
#include "servers/models/prefork.hpp"

namespace {

using namespace procpool;

constexpr int kExitFailed = 1;
constexpr int kExitBadUsage = 2;

constexpr auto kSystemMimeTypes = "/etc/mime.types";

// The sites of all hosts and paths in this worker.
http::Site make_site(models::Worker& worker, const http::Options& options) {
  const auto types = http::MimeTypes::load(kSystemMimeTypes);
  std::size_t share = 1 + options.paths.size() + options.hosts.size();
  for (const http::HostSettings& host : options.hosts) share += host.paths.size();
  const auto make = [&](const http::SiteSettings& settings, std::string_view prefix = "/") {
    return settings.root.empty() && !settings.redirect
               ? http::make_built_in_site(worker.board())
               : http::make_file_site(settings, types, worker.loop(), prefix, share);
  };
  if (share == 1) return make(options.site);

  auto map = std::make_shared<http::SiteMap>(make(options.site));
  for (const http::PathSettings& path : options.paths)
    map->add_path(path.prefix, make(path.site, path.prefix));
  for (const http::HostSettings& host : options.hosts) {
    const std::size_t number = map->add_host(host.names, make(host.site));
    for (const http::PathSettings& path : host.paths)
      map->add_path(path.prefix, make(path.site, path.prefix), number);
  }
  return {[map](const http::Request& request) { return map->find(request)(request); },
          [map](const http::Request& request) { return map->find(request).store(request); }};
}

models::Handler make_handler(models::Worker& worker, const http::Options& options) {
  http::Site site = make_site(worker, options);
  auto protocol =
      std::make_shared<http::Protocol>(worker, std::move(site), options.access_log,
                                       http::Limits{.max_body = options.max_body,
                                                    .header_timeout = options.header_timeout,
                                                    .idle_timeout = options.idle_timeout,
                                                    .send_timeout = options.send_timeout});
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

models::Service make_service(const http::Options& options) {
  models::Service service;
  for (const std::string& text : options.listen)
    service.listen.push_back(net::Address::parse(text));
  service.workers =
      options.workers != 0 ? options.workers : static_cast<unsigned>(proc::available_cpus());
  service.max_connections = options.max_connections;
  service.graceful_timeout = options.graceful_timeout;
  if (options.timeout.count() != 0) service.hung_after = options.timeout;
  service.max_requests = options.max_requests;
  service.max_requests_jitter = options.max_requests_jitter;
  service.max_rss = options.max_rss;
  service.run_as = credentials_of(options);
  service.refusal = refusal();
  service.make_handler = [options](models::Worker& worker) {
    return make_handler(worker, options);
  };
  service.make_logger = [path = options.error_log] {
    return models::make_error_log("procpool-httpd", path);
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

// Connections are limited by max-connections, so the soft limit need not be another, smaller one.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) < 0) throw_errno("getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) < 0) throw_errno("setrlimit");
}

// Started without them, the next descriptor to be opened would be 0, 1 or 2: a log would be written
// into a client's connection.
void open_missing_standard_descriptors() {
  for (;;) {
    const int fd = ::open("/dev/null", O_RDWR);
    if (fd < 0) throw_errno("open", "/dev/null");
    if (fd > STDERR_FILENO) {
      ::close(fd);
      return;
    }
  }
}

int tell(const http::ControlResult& result) {
  (result.exit_code == 0 ? std::cout : std::cerr) << result.text << std::endl;
  return result.exit_code;
}

int run(const http::CommandLine& command_line) {
  using Action = http::CommandLine::Action;
  if (command_line.action == Action::status) return tell(http::server_status(command_line.text));
  if (command_line.action == Action::reload) return tell(http::reload_server(command_line.text));
  if (command_line.action == Action::stop) return tell(http::stop_server(command_line.text));
  if (command_line.action == Action::show) {
    std::cout << command_line.text << std::flush;
    return 0;
  }
  if (command_line.action == Action::hash_password) {
    std::string password;
    if (!std::getline(std::cin, password)) throw Error{"read", "standard input", "no password"};
    std::cout << command_line.text << ":" << http::hash_password(password) << std::endl;
    return 0;
  }
  const http::Options options = http::load_options(command_line);
  models::Service service = make_service(options);
  if (command_line.action == Action::check) {
    std::cout << "the configuration is good" << std::endl;
    return 0;
  }
  std::optional<proc::PidFile> pid_file;
  std::optional<http::ReloadRecord> record;
  if (!options.pid_file.empty()) {
    pid_file.emplace(options.pid_file);
    record.emplace(options.pid_file);
  }
  raise_descriptor_limit();
  models::Prefork master{std::move(service),
                         {.reload =
                              [&] {
                                if (record) record->begin();
                                return make_service(http::load_options(command_line));
                              },
                          .on_serving = announce,
                          .on_reloaded =
                              [&](const std::string& problem) {
                                if (record) record->finish(problem);
                              }}};
  return master.run();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    open_missing_standard_descriptors();
    return run(http::parse_command_line(argc, argv));
  } catch (const http::OptionsError& error) {
    std::cerr << "procpool-httpd: " << error.what() << '\n';
    return kExitBadUsage;
  } catch (const std::exception& error) {
    std::cerr << "procpool-httpd: " << error.what() << '\n';
    return kExitFailed;
  }
}
