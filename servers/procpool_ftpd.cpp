// procpool-ftpd: serves files over FTP with a process for each client.
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ipc/base/error.hpp"
#include "proc/process_title.hpp"
#include "servers/ftp/control.hpp"
#include "servers/ftp/options.hpp"
#include "servers/ftp/quota.hpp"
#include "servers/ftp/reply.hpp"
#include "servers/ftp/sessions_table.hpp"
#include "servers/ftp/user_change.hpp"
#include "servers/models/error_log.hpp"
#include "servers/models/fork_per_client.hpp"
#include "servers/models/log_file.hpp"
#include "servers/models/sandbox.hpp"
#include "servers/program/check_folder.hpp"
#include "servers/program/serve.hpp"

namespace {

using namespace procpool;

constexpr auto kProgram = "procpool-ftpd";

// Takes a millisecond to make: for all services once.
std::shared_ptr<const models::SandboxFilter> sandbox() {
  static const auto filter =
      std::make_shared<const models::SandboxFilter>(models::SandboxFor::session);
  return filter;
}

// What the sessions of all services share is made once.
models::SessionService make_service(const ftp::Options& options,
                                    const ftp::QuotaMemory& quotas = {}) {
  models::SessionService service;
  for (const std::string& text : options.listen)
    service.listen.push_back(net::Address::parse(text));
  service.max_sessions = options.max_sessions;
  service.max_sessions_per_address = options.max_sessions_per_address;
  service.graceful_timeout = options.graceful_timeout;
  service.full = ftp::reply(421, "All places are taken, come back later.");
  service.too_many_from_there = ftp::reply(421, "Too many come from your address.");
  const auto owner = program::credentials_of(options.user, options.group);
  if (!options.session.system_users) service.run_as = owner;
  service.spare_sessions = options.spare_sessions;
  const auto settings = std::make_shared<ftp::Settings>(options.session);
  settings->quotas = quotas;
  settings->run_as = owner;
  if (ftp::has_sandbox(options)) settings->sandbox = sandbox();
  service.handler = [settings](models::Session& session, net::Stream stream) {
    return ftp::serve(session, std::move(stream), settings);
  };
  service.make_logger = [path = options.error_log] {
    return models::make_error_log(kProgram, path);
  };
  service.prepare_logs = [paths = std::vector{options.session.transfer_log, options.error_log},
                          owner] {
    for (const std::string& path : paths) {
      if (!path.empty() && path != "-" && path != "off") models::make_log_file(path, owner);
    }
  };
  return service;
}

void announce(const std::vector<net::Address>& addresses) {
  for (const net::Address& address : addresses)
    std::cout << kProgram << " is listening on ftp://" << address.text() << "/" << std::endl;
}

// With a pid file, whoever knows that can look at it.
models::ForkPerClient::Board board_of(const std::string& pid_file, UniqueFd inherited) {
  if (!pid_file.empty()) return ftp::open_board(pid_file);
  if (inherited.valid()) return models::ForkPerClient::Board::attach(std::move(inherited));
  return {};
}

int run(program::Start& start, const ftp::CommandLine& command_line) {
  using Action = ftp::CommandLine::Action;
  if (program::is_common(command_line.action)) return program::run_common(command_line);
  if (command_line.action == Action::own) {
    if (command_line.shows_sessions)
      return ftp::show_sessions(command_line.text, command_line.watch);
    ftp::change_users(*command_line.user_change);
    return 0;
  }
  const auto first = program::to_begin_with(command_line, start);
  const program::CommandLine& given = first;
  const ftp::Options options = ftp::load_options(first);
  if (command_line.action == Action::check) {
    make_service(options);
    std::cout << "the configuration is good" << std::endl;
    return 0;
  }
  ftp::QuotaMemory quotas;
  const auto serve = [&](const std::function<void()>& on_ready) {
    return program::serve(
        start,
        program::Task<models::SessionService>{
            .pid_file = options.pid_file,
            .command_line = given,
            .service = make_service(options),
            .reload = [&] { return make_service(ftp::load_options(command_line), quotas); },
            .announce = announce},
        [&](const auto&, auto hooks, models::Inheritance inheritance, auto* predecessor) {
          quotas = ftp::take_quotas(inheritance);
          hooks.upgrade = [&quotas, upgrade = std::move(hooks.upgrade)] {
            models::NextProgram next = upgrade();
            next.memory = {{ftp::kQuotaMemory, quotas->fd()}};
            return next;
          };
          auto board = board_of(options.pid_file, std::move(inheritance.board));
          return models::ForkPerClient{make_service(options, quotas), std::move(hooks),
                                       std::move(board), std::move(inheritance), predecessor}
              .run();
        },
        on_ready);
  };
  // A successor is in the background already.
  if (command_line.daemon && !start.predecessor)
    return program::serve_as_daemon(kProgram, options.error_log, start, serve);
  return serve([] {});
}

}  // namespace

int main(int argc, char** argv) {
  proc::prepare_process_title(argc, argv);
  return program::run_program(kProgram, argc, argv, [&](program::Start& start) {
    return run(start, ftp::parse_command_line(argc, argv));
  });
}
