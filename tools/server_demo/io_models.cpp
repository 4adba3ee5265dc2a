#include "tools/server_demo/io_models.hpp"

#include <algorithm>

#include "ipc/base/error.hpp"
#include "servers/net/task.hpp"

namespace procpool::server_demo {
namespace {

using Got = Reader::Got;

constexpr std::size_t kMost = kClientNames.size();

void blocking(Reader& reader) {
  for (Client& client : reader.clients()) {
    reader.say("waits for ", client.name, " in read, and for nobody else");
    while (reader.take(client) != Got::end) {
    }
  }
}

void ask_all_in_turns(Reader& reader) {
  while (reader.anybody()) {
    for (Client& client : reader.clients()) {
      if (client.is_there()) reader.take(client);
    }
  }
}

void nonblocking(Reader& reader) {
  for (const Client& client : reader.clients()) reader.kernel().make_nonblocking(client.fd());
  reader.say("asks one after the other, without a pause");
  ask_all_in_turns(reader);
}

void timeout(Reader& reader) {
  constexpr std::chrono::milliseconds kTime{5};
  for (const Client& client : reader.clients())
    reader.kernel().set_read_timeout(client.fd(), kTime);
  reader.say("asks one after the other, and gives each ", kTime.count(), " ms");
  ask_all_in_turns(reader);
}

void by_select(Reader& reader) {
  reader.say("tells select whom to watch, each time anew, and sleeps");
  while (reader.anybody()) {
    fd_set readable;
    FD_ZERO(&readable);
    int highest = -1;
    for (const Client& client : reader.clients()) {
      if (!client.is_there()) continue;
      FD_SET(client.fd(), &readable);
      highest = std::max(highest, client.fd());
    }
    reader.kernel().select(highest + 1, readable);
    for (Client& client : reader.clients()) {
      if (client.is_there() && FD_ISSET(client.fd(), &readable)) reader.take(client);
    }
  }
}

void by_poll(Reader& reader) {
  reader.say("hands poll a list of descriptors, each time all of it, and sleeps");
  std::array<pollfd, kMost> sockets{};
  while (reader.anybody()) {
    for (std::size_t i = 0; i < kMost; ++i) {  // poll passes over a negative descriptor
      sockets.at(i) = {.fd = reader.clients().at(i).fd(), .events = POLLIN, .revents = 0};
    }
    reader.kernel().poll(sockets);
    for (std::size_t i = 0; i < kMost; ++i) {
      if (sockets.at(i).revents != 0) reader.take(reader.clients().at(i));
    }
  }
}

UniqueFd watch_all(Reader& reader, std::uint32_t events) {
  UniqueFd epoll = reader.kernel().epoll_create();
  for (Client& client : reader.clients()) {
    reader.kernel().epoll_add(epoll.fd(), client.fd(), events, &client);
  }
  return epoll;
}

void by_epoll(Reader& reader) {
  const UniqueFd epoll = watch_all(reader, EPOLLIN);
  reader.say("has told epoll once whom to watch; sleeps, and is told who is ready");
  std::array<epoll_event, kMost> events;
  while (reader.anybody()) {
    for (const epoll_event& event : reader.kernel().epoll_wait(epoll.fd(), events)) {
      reader.take(*static_cast<Client*>(event.data.ptr));
    }
  }
}

void by_edges(Reader& reader) {
  for (const Client& client : reader.clients()) reader.kernel().make_nonblocking(client.fd());
  const UniqueFd epoll = watch_all(reader, EPOLLIN | EPOLLET);
  reader.say("is told of each arrival once; reads until there is nothing more (EAGAIN)");
  std::array<epoll_event, kMost> events;
  while (reader.anybody()) {
    for (const epoll_event& event : reader.kernel().epoll_wait(epoll.fd(), events)) {
      while (reader.take(*static_cast<Client*>(event.data.ptr)) == Got::bytes) {
      }
    }
  }
}

void by_edges_carelessly(Reader& reader) {
  constexpr int kPatienceMs = 100;
  for (const Client& client : reader.clients()) reader.kernel().make_nonblocking(client.fd());
  const UniqueFd epoll = watch_all(reader, EPOLLIN | EPOLLET);
  reader.say("is told of each arrival once, and reads once");
  std::array<epoll_event, kMost> events;
  for (std::size_t told = 0; told < kMost;) {
    const auto ready = reader.kernel().epoll_wait(epoll.fd(), events);
    for (const epoll_event& event : ready) reader.take(*static_cast<Client*>(event.data.ptr));
    told += ready.size();
  }
  const std::size_t more = reader.kernel().epoll_wait(epoll.fd(), events, kPatienceMs).size();
  reader.say("waits ", kPatienceMs, " ms more: epoll tells of ", more,
             ", though the rest of each line is there; they wait for each other");
}

// Resumes who waits for a client when the client is ready: all that an event loop is.
class Waiters {
 public:
  explicit Waiters(Reader& reader) : reader_{reader}, epoll_{watch_all(reader, EPOLLIN)} {}

  struct Readable {
    Client& client;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) const noexcept { client.waiter = waiter; }
    void await_resume() const noexcept {}
  };
  static Readable readable(Client& client) { return {client}; }

  void run() {
    std::array<epoll_event, kMost> events;
    while (reader_.anybody()) {
      for (const epoll_event& event : reader_.kernel().epoll_wait(epoll_.fd(), events)) {
        static_cast<Client*>(event.data.ptr)->waiter.resume();
      }
    }
  }

 private:
  Reader& reader_;
  UniqueFd epoll_;
};

net::Task<> converse(Reader& reader, Client& client) {
  for (Got got = Got::nothing; got != Got::end;) {
    co_await Waiters::readable(client);
    got = reader.take(client);
  }
}

void by_coroutines(Reader& reader) {
  Waiters waiters{reader};
  net::TaskGroup tasks{[](const std::exception_ptr& error) { std::rethrow_exception(error); }};
  reader.say("starts a coroutine for each: it reads as if it blocked, but only it waits");
  for (Client& client : reader.clients()) tasks.spawn(converse(reader, client));
  waiters.run();
}

constexpr std::array kModels{
    IoModel{.name = "blocking",
            .summary = "read waits for one client, and the others wait for that",
            .remember =
                "read sleeps until this client has said something, whatever others have to say. "
                "It costs no call in vain, and is right when there is one client a process or a "
                "thread.",
            .serve = blocking,
            .serves = IoModel::Serves::in_turn},
    IoModel{.name = "nonblocking",
            .summary = "read never waits, so it is asked again and again",
            .remember =
                "With O_NONBLOCK read says EAGAIN instead of sleeping. Nobody holds up anybody, "
                "but the processor is busy with questions: it needs somebody who says when it is "
                "worth while to ask.",
            .serve = nonblocking},
    IoModel{.name = "timeout",
            .summary = "read waits for one client, but not long (SO_RCVTIMEO)",
            .remember =
                "SO_RCVTIMEO makes a blocking read give up with EAGAIN. It saves a server from a "
                "client that says nothing; among many clients each still waits for the timeouts "
                "of the others.",
            .serve = timeout},
    IoModel{.name = "select",
            .summary = "one call waits for all, given as a set of bits",
            .remember =
                "select sleeps until any of them is ready. The set is handed over and searched at "
                "each call, and has no place for a descriptor of 1,024 or more: FD_SET beyond "
                "that writes into somebody else's memory.",
            .serve = by_select},
    IoModel{.name = "poll",
            .summary = "one call waits for all, given as a list",
            .remember =
                "poll is select without its limit: a list of any length, and events told apart "
                "from what is asked. The kernel still looks at the whole list at each call.",
            .serve = by_poll},
    IoModel{.name = "epoll",
            .summary = "the kernel keeps the list, and tells who is ready (level-triggered)",
            .remember =
                "Whom to watch is said once, with epoll_ctl; epoll_wait costs by those who are "
                "ready and not by those who are there. Level-triggered: as long as something is "
                "unread, it is told again.",
            .serve = by_epoll},
    IoModel{.name = "epoll-et",
            .summary = "the kernel tells of each arrival once (edge-triggered)",
            .remember =
                "An edge is an arrival and not a state: who stops reading before EAGAIN is not "
                "told of the rest, until something else arrives, which never does when the client "
                "waits for an answer. So: O_NONBLOCK, and read until EAGAIN.",
            .serve = by_edges},
    IoModel{.name = "coroutine",
            .summary = "reads like blocking, waits like epoll",
            .remember =
                "A coroutine for each client is written as if read blocked; where it would, it is "
                "put aside, and epoll says when to go on. The kernel is asked exactly as by "
                "epoll: what is gained is the program's shape. In servers/net this is Stream.",
            .serve = by_coroutines},
};

}  // namespace

std::span<const IoModel> io_models() {
  return kModels;
}

const IoModel careless_model{.name = "epoll-et, one read",
                             .summary = "one read for each arrival",
                             .remember = {},
                             .serve = by_edges_carelessly,
                             .serves = IoModel::Serves::nobody};

}  // namespace procpool::server_demo
