#include "servers/models/server.hpp"

#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <exception>
#include <utility>

#include "ipc/base/error.hpp"
#include "servers/models/detail/server_state.hpp"
#include "servers/models/error_log.hpp"
#include "servers/net/address.hpp"

namespace procpool::models {
namespace detail {
namespace {

UniqueFd make_event() {
  UniqueFd event{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!event.valid()) throw_errno("eventfd");
  return event;
}

}  // namespace

ServerState::ServerState(ServerOptions its_options)
    : options{std::move(its_options)},
      statistics{options.statistics != nullptr ? *options.statistics : own_statistics},
      stop{make_event()},
      stop_now{make_event()},
      log_{options.log ? options.log : make_error_log("server", "-")} {}

void ServerState::complain(const std::string& problem) {
  const std::lock_guard lock{log_mutex_};
  log_->error("{}", problem);
}

void ServerState::count_failure(std::string_view client, std::string_view problem) {
  statistics.failed.fetch_add(1);
  complain(std::string{client}.append(": ").append(problem));
}

std::string client_of(int connection) {
  try {
    return net::Address::peer_of(connection).text();
  } catch (const Error&) {
    return "a client that has left";
  }
}

std::string text_of(std::exception_ptr problem) {
  try {
    std::rethrow_exception(std::move(problem));
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "something that is no std::exception";
  }
}

StopWatch::StopWatch(Loop& loop, ServerState& server, int stop_fd, std::function<void()> on_stop)
    : loop_{loop},
      server_{server},
      on_stop_{std::move(on_stop)},
      patience_{loop, [this] { over_ = true; }} {
  watch_.emplace(loop, stop_fd, Interest::read, [this](const Readiness&) { begin(); });
}

void StopWatch::begin() {
  watch_.emplace(loop_, server_.stop_now.fd(), Interest::read,
                 [this](const Readiness&) { over_ = true; });
  patience_.set(Deadline::in(server_.options.graceful_timeout));
  if (on_stop_) on_stop_();
  interrupt_.raise();
}

StopSignals::StopSignals(ServerState& server)
    : server_{server}, no_sigpipe_{SIGPIPE, SIG_IGN}, signals_{{SIGTERM, SIGQUIT, SIGINT}} {}

StopSignals::StopSignals(Loop& loop, ServerState& server) : StopSignals{server} {
  watch_.emplace(loop, signals_.fd(), Interest::read, [this](const Readiness&) { obey(); });
}

void StopSignals::obey() {
  while (const auto signal = signals_.try_next()) {
    const bool at_once = std::exchange(stopping_, true) || signal->number == SIGINT;
    ::eventfd_write(server_.stop.fd(), 1);
    if (at_once) ::eventfd_write(server_.stop_now.fd(), 1);
  }
}

EndAtStop::EndAtStop(net::Interrupt& stop, int socket) : socket_{socket} {
  if (stop.raised()) {
    interrupted();
  } else {
    stop.add(*this);
  }
}

// What has arrived can still be read, and then comes the end; what is sent is sent.
void EndAtStop::interrupted() {
  ::shutdown(socket_, SHUT_RD);
}

}  // namespace detail

Server::Server(ServerOptions options)
    : state_{std::make_unique<detail::ServerState>(std::move(options))} {}

Server::~Server() = default;

void Server::stop() noexcept {
  ::eventfd_write(state_->stop.fd(), 1);
}

void Server::stop_now() noexcept {
  ::eventfd_write(state_->stop.fd(), 1);
  ::eventfd_write(state_->stop_now.fd(), 1);
}

const Statistics& Server::statistics() const noexcept {
  return state_->statistics;
}

}  // namespace procpool::models
