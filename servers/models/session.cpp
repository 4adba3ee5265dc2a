#include "servers/models/session.hpp"

#include <signal.h>

#include <array>
#include <cstddef>
#include <exception>
#include <utility>
#include <vector>

#include "ipc/base/deadline.hpp"

namespace procpool::models {

proc::SignalSet Session::signals() {
  return {SIGTERM, SIGINT, SIGUSR1};
}

Session::Session(Parts parts)
    : parts_{std::move(parts)},
      no_sigpipe_{SIGPIPE, SIG_IGN},
      log_{parts_.make_logger()},
      signals_{signals()},
      task_{[this](const std::exception_ptr& problem) {
        try {
          std::rethrow_exception(problem);
        } catch (const std::exception& error) {
          log_->error("{}: {}", parts_.client, error.what());
        }
      }} {}

int Session::run(const SessionHandler& handler, UniqueFd connection) {
  const Loop::Watch signal_watch{loop_, signals_.fd(), Interest::read, [this](const Readiness&) {
                                   while (const auto signal = signals_.try_next())
                                     obey(signal->number);
                                 }};
  task_.spawn(serve(handler, net::Stream{loop_, std::move(connection)}));
  // Who it is takes a while to read, and the client may have his greeting before.
  parts_.slot.show(ProcessId::self());
  while (task_.size() != 0 && !ended_) loop_.run_once(Deadline::never());
  return 0;
}

int Session::run_when_given(const SessionHandler& handler, ipc::Channel channel) {
  std::vector<std::byte> client;
  ipc::Channel::Received received = channel.receive(client);
  if (received.descriptor_count != 1) return 0;
  parts_.client.assign(reinterpret_cast<const char*>(client.data()), client.size());
  constexpr std::array<std::byte, 1> kTaken{};
  if (channel.try_send(kTaken) != ipc::Channel::SendResult::sent) return 0;
  channel.close();
  return run(handler, std::move(received.descriptors[0]));
}

net::Task<> Session::serve(const SessionHandler& handler, net::Stream stream) {
  co_await handler(*this, std::move(stream));
}

void Session::obey(int signal_number) {
  switch (signal_number) {
    case SIGTERM:
      return stop_.raise();
    case SIGUSR1:
      return open_log();
    default:
      ended_ = true;
  }
}

// A log that cannot be opened ends no session: the old one stays in use.
void Session::open_log() {
  try {
    log_ = parts_.make_logger();
    for (const auto& call : at_reopen_) call();
  } catch (const std::exception& error) {
    log_->error("{}", error.what());
  }
}

}  // namespace procpool::models
