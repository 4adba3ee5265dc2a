// procpool-httpd: serves files over HTTP with a master and pre-forked workers.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <ctime>
#include <exception>
#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ipc/base/error.hpp"
#include "proc/activation.hpp"
#include "proc/cpu_count.hpp"
#include "proc/daemon.hpp"
#include "proc/notifier.hpp"
#include "proc/pid_file.hpp"
#include "servers/http/built_in_site.hpp"
#include "servers/http/cgi_runner.hpp"
#include "servers/http/cgi_site.hpp"
#include "servers/http/control.hpp"
#include "servers/http/file_site.hpp"
#include "servers/http/options.hpp"
#include "servers/http/protocol.hpp"
#include "servers/http/reload_record.hpp"
#include "servers/http/site_map.hpp"
#include "servers/models/error_log.hpp"
#include "servers/models/inheritance.hpp"
#include "servers/models/log_file.hpp"
#include "servers/models/password.hpp"
#include "servers/models/prefork.hpp"

namespace {

using namespace procpool;

constexpr int kExitFailed = 1;
constexpr int kExitBadUsage = 2;

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

models::Handler make_handler(models::Worker& worker, const http::Options& options) {
  const auto types = http::MimeTypes::load(kSystemMimeTypes);
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

models::Service make_service(const http::Options& options) {
  models::Service service;
  for (const std::string& text : options.listen)
    service.listen.push_back(net::Address::parse(text));
  choose_workers(options, service);
  if (options.cpu_affinity)
    service.cpus = options.cpu_affinity->empty() ? models::allowed_cpus() : *options.cpu_affinity;
  service.accept = options.accept;
  service.max_connections = options.max_connections;
  service.graceful_timeout = options.graceful_timeout;
  if (options.timeout.count() != 0) service.hung_after = options.timeout;
  service.max_requests = options.max_requests;
  service.max_requests_jitter = options.max_requests_jitter;
  service.max_rss = options.max_rss;
  service.max_rss_hard = options.max_rss_hard;
  service.run_as = credentials_of(options);
  service.sandbox = has_sandbox(options);
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

// What this process was started with, by whomever: taken before anything else is done.
struct Start {
  std::vector<std::string> argv;
  std::vector<std::string> environment;  // for a successor
  std::optional<models::Predecessor> predecessor;
  std::vector<proc::ActivatedDescriptor> activated;
  proc::Notifier manager;
};

// Without what is meant for this process alone.
std::vector<std::string> environment_for_successor() {
  constexpr std::array kOwn{"LISTEN_", "WATCHDOG_PID=", "PROCPOOL_SUCCEEDS="};
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text{*entry};
    if (std::ranges::none_of(kOwn, [&](const char* own) { return text.starts_with(own); }))
      environment.emplace_back(text);
  }
  return environment;
}

Start take_start(int argc, char** argv) {
  Start start{.argv = {argv, argv + argc},
              .environment = environment_for_successor(),
              .predecessor = models::Predecessor::of_this_process(),
              .activated = proc::take_activated_descriptors(),
              .manager = proc::Notifier::from_environment()};
  return start;
}

models::Inheritance inherit(Start& start, const models::Service& service) {
  if (start.predecessor) return start.predecessor->take();
  models::Inheritance all;
  for (proc::ActivatedDescriptor& passed : start.activated) {
    auto listener = net::Listener::adopt(std::move(passed.fd));
    const net::Address address = listener.address();
    if (std::ranges::find(service.listen, address) == service.listen.end()) {
      throw http::OptionsError{"listen", address.text(),
                               "is a socket that was passed to this program, which \"listen\" does "
                               "not name"};
    }
    all.sockets.push_back({address, std::move(listener)});
  }
  return all;
}

// The files that tell which process serves, and what it did. There is one of each.
class Presence {
 public:
  // A successor has them when it serves.
  Presence(std::string path, UniqueFd inherited, bool succeeds)
      : path_{std::move(path)}, inherited_{std::move(inherited)} {
    if (!succeeds) begin();
  }

  void begin() {
    if (path_.empty() || file_) return;
    if (inherited_.valid()) {
      file_.emplace(path_, std::move(inherited_));
    } else {
      file_.emplace(path_);
    }
    record_.emplace(path_);
  }
  int fd() const { return file_ ? file_->fd() : -1; }
  void begin_change() {
    if (record_) record_->begin();
  }
  void finish_change(const std::string& problem) {
    if (record_) record_->finish(problem);
  }
  void leave() {
    if (!file_) return;
    record_->leave();
    file_->leave();
  }
  // The lock has stayed here, or comes back; a file that cannot be written (full disk) stops
  // nobody.
  void stay(const std::string& problem) {
    if (!file_) return;
    try {
      file_->hold();
    } catch (const std::exception& error) {
      std::cerr << "procpool-httpd: " << error.what() << std::endl;
    }
    record_->finish(problem);
  }

 private:
  std::string path_;
  UniqueFd inherited_;
  std::optional<proc::PidFile> file_;
  std::optional<http::ReloadRecord> record_;
};

int serve(Start& start, const http::CommandLine& command_line, const http::Options& options,
          models::Service service, const std::function<void()>& on_ready) {
  models::Inheritance inheritance = inherit(start, service);
  Presence presence{options.pid_file, std::move(inheritance.pid_file),
                    start.predecessor.has_value()};
  raise_descriptor_limit();
  models::Hooks<models::Service> hooks;
  hooks.reload = [&] {
    presence.begin_change();
    return make_service(http::load_options(command_line));
  };
  hooks.on_serving = [&](const std::vector<net::Address>& addresses) {
    presence.begin();
    announce(addresses);
    on_ready();
  };
  hooks.on_reloaded = [&](const std::string& problem) { presence.finish_change(problem); };
  hooks.upgrade = [&] {
    presence.begin_change();
    return models::NextProgram{start.argv, start.environment, presence.fd()};
  };
  hooks.on_upgraded = [&](const std::string& problem) {
    problem.empty() ? presence.leave() : presence.stay(problem);
  };
  hooks.manager = start.manager;
  models::Prefork master{std::move(service), std::move(hooks), std::move(inheritance),
                         start.predecessor ? &*start.predecessor : nullptr};
  return master.run();
}

int serve_as_daemon(Start& start, const http::CommandLine& command_line,
                    const http::Options& options, models::Service service) {
  if (options.error_log == "-")
    throw http::OptionsError{"option", "--daemon", "needs --error-log FILE: it has no terminal"};
  std::vector<int> keep;
  keep.reserve(start.activated.size());
  for (const proc::ActivatedDescriptor& passed : start.activated) keep.push_back(passed.fd.fd());
  const proc::DaemonStart result = proc::daemonize(
      {.name = "procpool-httpd",
       .working_directory = std::filesystem::current_path(),
       .log = options.error_log,
       .keep = std::move(keep)},
      [&](proc::Daemon& daemon) {
        return serve(start, command_line, options, std::move(service), [&] { daemon.ready(); });
      });
  if (!result.message.empty()) std::cerr << "procpool-httpd: " << result.message << std::endl;
  return result.exit_code;
}

int run(Start& start, const http::CommandLine& command_line) {
  using Action = http::CommandLine::Action;
  if (command_line.action == Action::status) return tell(http::server_status(command_line.text));
  if (command_line.action == Action::reload) return tell(http::reload_server(command_line.text));
  if (command_line.action == Action::upgrade) return tell(http::upgrade_server(command_line.text));
  if (command_line.action == Action::stop) return tell(http::stop_server(command_line.text));
  if (command_line.action == Action::show) {
    std::cout << command_line.text << std::flush;
    return 0;
  }
  if (command_line.action == Action::hash_password) {
    std::string password;
    if (!std::getline(std::cin, password)) throw Error{"read", "standard input", "no password"};
    std::cout << command_line.text << ":" << models::hash_password(password) << std::endl;
    return 0;
  }
  const http::Options options = http::load_options(command_line);
  models::Service service = make_service(options);
  if (command_line.action == Action::check) {
    std::cout << "the configuration is good" << std::endl;
    return 0;
  }
  // A successor is in the background already.
  if (command_line.daemon && !start.predecessor)
    return serve_as_daemon(start, command_line, options, std::move(service));
  return serve(start, command_line, options, std::move(service), [] {});
}

int run(Start& start) {
  std::vector<const char*> argv;
  argv.reserve(start.argv.size());
  for (const std::string& argument : start.argv) argv.push_back(argument.c_str());
  try {
    return run(start, http::parse_command_line(static_cast<int>(argv.size()), argv.data()));
  } catch (const std::exception& error) {
    if (start.predecessor) start.predecessor->decline(error.what());
    throw;
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    open_missing_standard_descriptors();
    Start start = take_start(argc, argv);
    return run(start);
  } catch (const http::OptionsError& error) {
    std::cerr << "procpool-httpd: " << error.what() << '\n';
    return kExitBadUsage;
  } catch (const std::exception& error) {
    std::cerr << "procpool-httpd: " << error.what() << '\n';
    return kExitFailed;
  }
}
