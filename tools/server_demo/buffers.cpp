#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <array>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/shared.hpp"
#include "servers/net/socket_option.hpp"
#include "tools/server_demo/demonstration.hpp"
#include "tools/server_demo/plain_socket.hpp"

namespace procpool::server_demo {
namespace {

constexpr int kBufferSize = 32 * 1024;

// Connected, with small buffers, so that they are soon full.
Ends narrow_pair() {
  const UniqueFd listener = listen_on_loopback();
  net::set_option(listener.fd(), net::kReceiveBuffer, kBufferSize);  // inherited by what it accepts
  UniqueFd client = connect_to(net::Address::local_of(listener.fd()));
  net::set_option(client.fd(), net::kSendBuffer, kBufferSize);
  return {.client = std::move(client), .server = accept_from(listener.fd())};
}

struct Filled {
  std::size_t bytes;
  int error;  // of the send that did not go
};

// Sends until the kernel takes no more.
Filled send_what_goes(int socket) {
  const std::string chunk(4096, 'x');
  for (Filled filled{.bytes = 0, .error = 0};;) {
    const ssize_t sent = ::send(socket, chunk.data(), chunk.size(), MSG_DONTWAIT);
    filled.error = error_of(sent);
    if (filled.error != 0) return filled;
    filled.bytes += static_cast<std::size_t>(sent);
  }
}

// Until it lasts: what is on its way makes room once more.
Filled fill(const Ends& ends) {
  Filled all = send_what_goes(ends.client.fd());
  await("full buffers", [&] {
    const int in_buffers = unread_bytes(ends.server.fd()) + unsent_bytes(ends.client.fd());
    const Filled more = send_what_goes(ends.client.fd());
    const bool is_full = more.bytes == 0 && static_cast<std::size_t>(in_buffers) == all.bytes;
    all.bytes += more.bytes;
    return is_full;
  });
  return all;
}

void show_full(Stage& stage) {
  const Ends ends = narrow_pair();
  auto filler = stage.enter("writer", [&] {
    stage.say("SO_SNDBUF is ", net::get_option(ends.client.fd(), net::kSendBuffer),
              ", the reader's SO_RCVBUF ", net::get_option(ends.server.fd(), net::kReceiveBuffer),
              ": twice what was asked, for the kernel's own work");
    const Filled filled = fill(ends);
    stage.say("sends while nobody reads, without waiting: ", filled.bytes, " bytes went, then ",
              error_text(filled.error));
    stage.say("unread at the other end ", unread_bytes(ends.server.fd()), ", unsent at this one ",
              unsent_bytes(ends.client.fd()));
    stage.prove("send into full buffers, without waiting", error_text(EAGAIN),
                error_text(filled.error));
    stage.prove("bytes that went = those in the two buffers", filled.bytes,
                unread_bytes(ends.server.fd()) + unsent_bytes(ends.client.fd()));
  });
  stage.finish(filler);

  ipc::Shared<std::atomic<bool>> has_read;
  auto writer = stage.enter("writer 2", [&] {
    stage.say("sends one byte more, and is willing to wait");
    send_all(ends.client.fd(), "y");
    stage.say("goes on: there is room again");
    stage.prove("a blocking send returned only after a read", true, has_read->load());
  });
  Stage::await_sleep(writer);
  stage.say("sees it sleep in send");
  auto reader = stage.enter("reader", [&] {
    *has_read = true;
    std::size_t bytes = 0;
    while (unsent_bytes(ends.client.fd()) > 0 || unread_bytes(ends.server.fd()) > 0) {
      bytes += receive(ends.server.fd(), kBufferSize).size();
    }
    stage.say("has read ", bytes, " bytes");
  });
  stage.finish(writer);
  stage.finish(reader);
}

void show_end(Stage& stage) {
  Ends ends = tcp_pair();
  auto writer = stage.enter("writer", [&] {
    stage.say("writes \"bye\" and leaves");
    send_all(ends.client.fd(), "bye");
  });
  ends.client.reset();
  stage.finish(writer);
  auto reader = stage.enter("reader", [&] {
    std::string sizes;
    for (int i = 0; i < 3; ++i) {
      sizes += text(i == 0 ? "" : ", ", receive(ends.server.fd(), 100).size());
    }
    stage.say("reads three times, and gets ", sizes, " bytes: 0 is the end, again and again");
    stage.prove("bytes of three reads after \"bye\"", "3, 0, 0", sizes);
  });
  stage.finish(reader);
}

// The peer has closed with something unread, so the next send meets a reset connection.
UniqueFd end_of_a_broken_connection() {
  Ends ends = tcp_pair();
  send_all(ends.client.fd(), "unread");
  await_bytes(ends.server.fd(), 6);
  ends.server.reset();
  wait_ready(ends.client.fd(), POLLRDHUP, Deadline::in(kPatience));
  net::get_option(ends.client.fd(), net::kError);  // ECONNRESET, which is said only once
  return std::move(ends.client);
}

void show_nobody_reads(Stage& stage) {
  const UniqueFd socket = end_of_a_broken_connection();
  auto victim = stage.enter("beginner", [&] {
    ::signal(SIGPIPE, SIG_DFL);
    stage.say("sends to somebody who has left");
    ::send(socket.fd(), "x", 1, 0);
    stage.say("was never here");
  });
  const auto status = victim.wait();
  stage.say("sees that the beginner was ", status.text(), ", and could say nothing");
  stage.prove("send to nobody, SIGPIPE as it is", "killed by SIGPIPE", status.text());
  auto wiser = stage.enter("wiser", [&] {
    ::signal(SIGPIPE, SIG_DFL);
    const int error = error_of(::send(socket.fd(), "x", 1, MSG_NOSIGNAL));
    stage.say("does the same with MSG_NOSIGNAL: ", error_text(error));
    stage.prove("send to nobody, MSG_NOSIGNAL", error_text(EPIPE), error_text(error));
  });
  stage.finish(wiser);
}

void show_urgent(Stage& stage) {
  const Ends ends = tcp_pair();
  auto writer = stage.enter("writer", [&] {
    stage.say("writes \"abc\", an urgent \"!\", then \"def\"");
    send_all(ends.client.fd(), "abc");
    if (::send(ends.client.fd(), "!", 1, MSG_OOB) < 0) throw_errno("send", "urgent byte");
    send_all(ends.client.fd(), "def");
  });
  stage.finish(writer);
  auto reader = stage.enter("reader", [&] {
    wait_ready(ends.server.fd(), POLLPRI, Deadline::in(kPatience));
    char urgent = 0;
    if (::recv(ends.server.fd(), &urgent, 1, MSG_OOB) < 0) throw_errno("recv", "urgent byte");
    stage.say("is told by POLLPRI, and reads \"", urgent, "\" with MSG_OOB, before all else");
    const std::string before = receive(ends.server.fd(), 100);
    const bool at_mark = ::sockatmark(ends.server.fd()) == 1;
    const std::string after = receive(ends.server.fd(), 100);
    stage.say("reads \"", before, "\", is at the mark: ", at_mark, "; reads \"", after, "\"");
    stage.prove("the urgent byte", "!", std::string(1, urgent));
    stage.prove("a read stops at the mark", "abc, def", text(before, ", ", after));
  });
  stage.finish(reader);
}

void play(Stage& stage) {
  show_full(stage);
  show_end(stage);
  show_nobody_reads(stage);
  show_urgent(stage);
}

}  // namespace

const Demonstration buffers_demonstration{
    .name = "buffers",
    .summary = "a full buffer, the end, SIGPIPE, urgent data",
    .remember =
        "send copies into a buffer, and says nothing of arrival; when both buffers are full it "
        "waits, or says EAGAIN: this is how a slow reader slows the writer down. 0 bytes are the "
        "end. Who writes to a connection that is gone is killed by SIGPIPE unless he says "
        "otherwise. TCP has one urgent byte at a time: protocols of today leave it alone.",
    .play = play,
};

}  // namespace procpool::server_demo
