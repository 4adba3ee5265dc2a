#include "servers/models/thread_per_client.hpp"

#include <algorithm>
#include <cstddef>
#include <system_error>
#include <utility>

#include "servers/models/detail/coroutine_host.hpp"
#include "servers/models/detail/crew.hpp"
#include "servers/models/detail/reception.hpp"

namespace procpool::models {
namespace {

// By poll(2): a set of two descriptors that nobody shares costs no system calls there, and no
// descriptor.
void serve(detail::ServerState& server, const StreamHandler& handler, UniqueFd socket) {
  Loop loop{Poller::Backend::poll};
  detail::StopWatch stop{loop, server, server.stop.fd()};
  const detail::Place place{
      .server = server, .loop = loop, .stop = stop.interrupt(), .handler = handler};
  net::TaskGroup connection{
      [&](const std::exception_ptr& problem) { server.complain(detail::text_of(problem)); }};
  detail::begin_connection(connection, place, std::move(socket));
  while (connection.size() > 0 && !stop.over()) loop.run_once(Deadline::never());
}

}  // namespace

ThreadPerClient::ThreadPerClient(net::Listener listener, ServerOptions options)
    : Server{std::move(options)}, listener_{std::move(listener)} {}

void ThreadPerClient::run(const StreamHandler& handler) {
  const std::size_t most = state().options.max_connections;
  Loop loop;
  const detail::StopSignals signals{loop, state()};
  detail::Crew crew;
  detail::Reception reception{loop,
                              state(),
                              {{&listener_}},
                              {.begin =
                                   [&](UniqueFd socket) {
                                     try {
                                       crew.start([&, connection = std::move(socket)]() mutable {
                                         serve(state(), handler, std::move(connection));
                                       });
                                     } catch (const std::system_error& error) {
                                       state().complain(error.what());
                                       state().statistics.refused.fetch_add(1);
                                       reception.pause();
                                     }
                                   },
                               .room = [&] { return most - std::min(most, crew.size()); }}};
  const Loop::Watch bell_watch{loop, crew.bell(), Interest::read,
                               [&](const Readiness&) { crew.join_ended(); }};
  const detail::StopWatch stop{loop, state(), state().stop.fd(), [&] {
                                 reception.close();
                                 listener_.close();
                               }};
  reception.open();
  while (!stop.raised() || crew.size() > 0) {
    loop.run_once(Deadline::never());
    reception.end_turn();
  }
}

}  // namespace procpool::models
