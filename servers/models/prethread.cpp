#include "servers/models/prethread.hpp"

#include <sys/eventfd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <deque>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ipc/base/error.hpp"
#include "servers/models/detail/coroutine_host.hpp"
#include "servers/models/detail/distributor.hpp"
#include "servers/models/detail/inbox.hpp"

namespace procpool::models {
namespace {

UniqueFd make_event() {
  UniqueFd event{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!event.valid()) throw_errno("eventfd");
  return event;
}

std::unique_ptr<detail::Distributor> make_distributor(AcceptStrategy strategy) {
  switch (strategy) {
    case AcceptStrategy::reuseport:
      return detail::make_reuseport_distributor();
    case AcceptStrategy::lock:
      return detail::make_mutex_distributor();
    case AcceptStrategy::file_lock:
      return detail::make_file_lock_distributor();
    default:
      return detail::make_shared_distributor();
  }
}

// The sockets of the address: more than one, if the strategy wants them.
std::deque<net::Listener> open_group(net::Listener first, std::size_t count) {
  std::deque<net::Listener> group;
  group.push_back(std::move(first));
  while (group.size() < count && !group.front().address().is_unix()) {
    group.push_back(group.front().open_beside());
    group.back().listen();
  }
  return group;
}

}  // namespace

// The threads, and a loop for each. Of the thread that makes it, but for ring().
class Prethread::Crew {
 public:
  Crew(Loop& loop, detail::ServerState& server, const StreamHandler& handler, unsigned threads)
      : server_{server},
        handler_{handler},
        slots_(threads),
        bell_watch_{loop, bell_.fd(), Interest::read,
                    [this](const Readiness&) {
                      eventfd_t rings = 0;
                      ::eventfd_read(bell_.fd(), &rings);
                    }},
        running_{threads} {
    std::iota(slots_.begin(), slots_.end(), 0);
  }

  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;
  ~Crew() {  // before their end only when something was thrown
    ::eventfd_write(server_.stop_now.fd(), 1);
    stop();
  }

  const std::vector<int>& slots() const noexcept { return slots_; }

  // All of them before the first thread starts: so what fails, fails here. Throws Error.
  template <typename OptionsOf>
  void make_hosts(const detail::Doors& doors, const OptionsOf& options_of) {
    for (const int slot : slots_) {
      detail::CoroutineHost::Options options = options_of(slot);
      options.stop_fd = stop_.fd();
      hosts_.emplace_back(server_, handler_, doors, std::move(options));
    }
  }

  void start() {  // throws std::system_error
    for (detail::CoroutineHost& host : hosts_) {
      threads_.emplace_back([this, &host] {
        host.run();
        --running_;
        ring();
      });
    }
  }

  void stop() { ::eventfd_write(stop_.fd(), 1); }

  void ring() { ::eventfd_write(bell_.fd(), 1); }  // wakes the loop of run()
  bool has_ended() const noexcept { return running_ == 0; }

 private:
  detail::ServerState& server_;
  const StreamHandler& handler_;
  std::vector<int> slots_;
  const UniqueFd stop_ = make_event();  // the server's stop, when all is distributed
  const UniqueFd bell_ = make_event();
  Loop::Watch bell_watch_;
  std::atomic<std::size_t> running_;
  std::deque<detail::CoroutineHost> hosts_;
  std::vector<std::jthread> threads_;  // last: joined before the rest goes
};

Prethread::Prethread(net::Listener listener, PrethreadOptions options)
    : Server{std::move(options.server)},
      listener_{std::move(listener)},
      threads_{options.threads},
      accept_{options.accept} {
  if (threads_ == 0) throw Error{"prethread", "threads", "there must be one at least"};
}

void Prethread::run(const StreamHandler& handler) {
  Loop loop;
  const detail::StopSignals signals{loop, state()};
  if (accept_ == AcceptStrategy::pass) {
    pass(handler, loop);
  } else {
    share(handler, loop);
  }
}

// The threads accept.
void Prethread::share(const StreamHandler& handler, Loop& loop) {
  const auto distributor = make_distributor(accept_);
  auto group = open_group(std::move(listener_), distributor->sockets_for(threads_));
  detail::Doors doors(1);
  for (net::Listener& socket : group) doors[0].push_back(&socket);
  std::atomic<std::size_t> at_the_doors{threads_};
  Crew crew{loop, state(), handler, threads_};
  crew.make_hosts(doors, [&](int slot) {
    distributor->equip(slot);
    return detail::CoroutineHost::Options{.most = state().options.max_connections,
                                          .make_acceptor =
                                              [&, slot](Loop& its_loop, detail::Intake& intake) {
                                                return distributor->make_acceptor(slot, doors,
                                                                                  its_loop, intake);
                                              },
                                          .on_closed =
                                              [&] {
                                                if (--at_the_doors > 0) return;
                                                for (net::Listener& socket : group) socket.close();
                                              }};
  });
  distributor->serve_with(crew.slots(), doors);
  const detail::StopWatch stop{loop, state(), state().stop.fd(), [&] { crew.stop(); }};
  crew.start();
  while (!crew.has_ended()) loop.run_once(Deadline::never());
}

// This thread accepts.
void Prethread::pass(const StreamHandler& handler, Loop& loop) {
  const std::size_t most = state().options.max_connections;
  std::deque<detail::Inbox> inboxes(threads_);
  Crew crew{loop, state(), handler, threads_};
  crew.make_hosts({}, [&](int slot) {
    detail::Inbox& inbox = inboxes[static_cast<std::size_t>(slot)];
    return detail::CoroutineHost::Options{.most = most,
                                          .make_acceptor =
                                              [&](Loop& its_loop, detail::Intake& intake) {
                                                return std::make_unique<detail::InboxAcceptor>(
                                                    inbox, its_loop, intake);
                                              },
                                          .on_turn_end =
                                              [&](std::size_t number) {
                                                if (inbox.set_served(number) > number)
                                                  crew.ring();  // there is room again
                                              }};
  });
  const auto least = [&]() -> detail::Inbox& {
    return *std::ranges::min_element(inboxes, {}, &detail::Inbox::load);
  };
  detail::Reception reception{loop,
                              state(),
                              {{&listener_}},
                              {.begin = [&](UniqueFd socket) { least().put(std::move(socket)); },
                               .room = [&] { return most - std::min(most, least().load()); }}};
  const detail::StopWatch stop{loop, state(), state().stop.fd(), [&] {
                                 reception.close();
                                 listener_.close();
                                 crew.stop();
                               }};
  reception.open();
  crew.start();
  while (!crew.has_ended()) {
    loop.run_once(Deadline::never());
    reception.end_turn();
  }
}

}  // namespace procpool::models
