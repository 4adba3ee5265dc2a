#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "servers/net/address.hpp"
#include "servers/net/socket_option.hpp"
#include "tools/server_demo/demonstration.hpp"
#include "tools/server_demo/packet_capture.hpp"
#include "tools/server_demo/plain_socket.hpp"
#include "tools/server_demo/tcp_state.hpp"

namespace procpool::server_demo {
namespace {

using net::Address;

// The queue of those who wait for accept takes one more than the backlog says. Of a socket that
// listens tcpi_unacked is how many wait there.
void show_handshake(Stage& stage) {
  const UniqueFd listener = listen_on_loopback(0);
  const Address address = Address::local_of(listener.fd());
  stage.prove("the state of a socket that listens", "LISTEN", state_of(listener.fd()));
  Cue first_is_there;
  Cue second_has_asked;
  Cue first_is_accepted;
  auto first = stage.enter("client 1", [&] {
    const UniqueFd socket = connect_to(address);
    await("a place in the queue", [&] { return info_of(listener.fd()).tcpi_unacked == 1; });
    stage.say("is connected, though nobody has called accept: ", state_of(socket.fd()));
    stage.prove("connected before accept", "ESTABLISHED", state_of(socket.fd()));
    first_is_there.give();
    first_is_accepted.await();
  });
  auto second = stage.enter("client 2", [&] {
    first_is_there.await();
    const UniqueFd socket = open_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
    const int pending = error_of(::connect(socket.fd(), address.data(), address.size()));
    if (pending != EINPROGRESS) throw_errno("connect", address.text(), pending);
    const auto state = state_of(socket.fd());
    stage.say("has sent its SYN, and gets no answer, for the queue is full: ", state);
    stage.prove("connecting while the queue is full", "SYN_SENT", state);
    second_has_asked.give();
    await_state(socket.fd(), TCP_ESTABLISHED);
    const unsigned resent = info_of(socket.fd()).tcpi_total_retrans;
    stage.say("is connected at last; its SYN was sent again ", resent,
              resent == 1 ? " time" : " times");
    stage.prove("the SYN was sent again", true, resent > 0);
  });
  auto server = stage.enter("server", [&] {
    second_has_asked.await();
    const UniqueFd one = accept_from(listener.fd());
    stage.say("accepts the first one: ", state_of(one.fd()));
    stage.prove("the state of what was accepted", "ESTABLISHED", state_of(one.fd()));
    first_is_accepted.give();
    const UniqueFd two = accept_from(listener.fd());
    stage.say("accepts the second one, when its next SYN has come (after 1 s)");
    receive(two.fd(), 1);  // until it leaves
  });
  for (auto* process : {&first, &second, &server}) stage.finish(*process);
}

void show_teardown(Stage& stage) {
  Ends ends = tcp_pair();
  const PortPair of_client = PortPair::of(ends.client.fd());
  Cue server_knows;
  Cue client_has_read;
  auto client = stage.enter("client", [&] {
    ends.server.reset();
    stage.say("says \"bye\" and closes its half (SHUT_WR), which sends a FIN");
    send_all(ends.client.fd(), "bye");
    ::shutdown(ends.client.fd(), SHUT_WR);
    server_knows.await();
    await_state(ends.client.fd(), TCP_FIN_WAIT2);
    stage.say("its FIN is acknowledged: FIN_WAIT2");
    const std::string words = receive(ends.client.fd(), 100);
    stage.say("still reads: \"", words, "\"");
    stage.prove("what comes through the other half", "still here", words);
    client_has_read.give();
    stage.prove("bytes at the end of that half", 0, receive(ends.client.fd(), 100).size());
    await_state(ends.client.fd(), TCP_CLOSE);
    stage.say("has seen the server's FIN: the process is done, the kernel is not");
  });
  auto server = stage.enter("server", [&] {
    ends.client.reset();
    stage.prove("what was said", "bye", receive(ends.server.fd(), 100));
    stage.prove("bytes at the end", 0, receive(ends.server.fd(), 100).size());
    const auto state = state_of(ends.server.fd());
    stage.say("reads the end: ", state, ", and may go on writing");
    stage.prove("the end that was closed to", "CLOSE_WAIT", state);
    server_knows.give();
    send_all(ends.server.fd(), "still here");
    client_has_read.await();
    stage.say("closes its half, too");
    ::shutdown(ends.server.fd(), SHUT_WR);
    await_state(ends.server.fd(), TCP_CLOSE);
    stage.say("its FIN is acknowledged: CLOSE, and nothing is left of it");
  });
  ends.client.reset();
  ends.server.reset();
  stage.finish(client);
  stage.finish(server);
  await("TIME_WAIT", [&] { return waits_out(of_client); });
  stage.say("looks into /proc/net/tcp: the client's port ", of_client.own, " is in TIME_WAIT");
  stage.prove("who closed first is in TIME_WAIT", true, waits_out(of_client));
}

enum class Reuse { no, yes };

int bind_error(const Address& address, Reuse reuse) {
  const UniqueFd socket = open_socket(AF_INET, SOCK_STREAM);
  net::set_option(socket.fd(), net::kReuseAddress, reuse == Reuse::yes);
  return error_of(::bind(socket.fd(), address.data(), address.size()));
}

void show_restart(Stage& stage) {
  UniqueFd listener = listen_on_loopback();
  net::set_option(listener.fd(), net::kReuseAddress, true);  // what it accepts inherits it
  const Address address = Address::local_of(listener.fd());
  const UniqueFd client = connect_to(address);
  const PortPair of_server{.own = address.port(), .other = Address::local_of(client.fd()).port()};
  auto server = stage.enter("server", [&] {
    const UniqueFd connection = accept_from(listener.fd());
    stage.say("hangs up first, and ends");
  });
  listener.reset();
  stage.finish(server);
  receive(client.fd(), 1);  // the end
  ::shutdown(client.fd(), SHUT_WR);
  await("TIME_WAIT", [&] { return waits_out(of_server); });
  const int refused = bind_error(address, Reuse::no);
  stage.say("starts the server anew: bind says ", error_text(refused), ", for a minute");
  stage.prove("bind while the port is in TIME_WAIT", error_text(EADDRINUSE), error_text(refused));
  const int taken = bind_error(address, Reuse::yes);
  stage.say("the same with SO_REUSEADDR, which the old one had, too: ",
            taken == 0 ? "bound" : error_text(taken));
  stage.prove("bind with SO_REUSEADDR", 0, taken);
}

void show_reset(Stage& stage) {
  Ends ends = tcp_pair();
  const PortPair of_client = PortPair::of(ends.client.fd());
  auto client = stage.enter("client", [&] {
    net::set_option(ends.client.fd(), net::kLinger, net::Linger{.seconds = 0});
    stage.say("closes with SO_LINGER 0: a RST goes out instead of a FIN");
  });
  ends.client.reset();
  stage.finish(client);
  auto server = stage.enter("server", [&] {
    char byte = 0;
    const int error = error_of(::recv(ends.server.fd(), &byte, 1, 0));
    stage.say("reads: ", error_text(error), "; what was on its way is thrown away");
    stage.prove("a read after a RST", error_text(ECONNRESET), error_text(error));
    stage.prove("TIME_WAIT after a RST", false, waits_out(of_client));
  });
  stage.finish(server);
  const Address nobody = Address::local_of(listen_on_loopback().fd());  // closed again
  const UniqueFd socket = open_socket(AF_INET, SOCK_STREAM);
  const int refused = error_of(::connect(socket.fd(), nobody.data(), nobody.size()));
  stage.say("connects where nobody listens: ", error_text(refused), ", by a RST, too");
  stage.prove("connect where nobody listens", error_text(ECONNREFUSED), error_text(refused));
}

// With timestamps (RFC 7323) a TCP header has 12 bytes of options.
HeaderSizes computed_headers(int socket) {
  const bool has_timestamps = (info_of(socket).tcpi_options & TCPI_OPT_TIMESTAMPS) != 0;
  return {.ethernet = 14, .ip = 20, .tcp = has_timestamps ? 32U : 20U};
}

void show_layers(Stage& stage) {
  constexpr std::string_view kData = "hello";
  const Ends ends = tcp_pair();
  PacketCapture capture{Address::local_of(ends.server.fd()).port()};
  send_all(ends.client.fd(), kData);
  const HeaderSizes computed = computed_headers(ends.client.fd());
  HeaderSizes headers = computed;
  if (capture.is_permitted()) {
    headers = capture.await_data(kData.size());
    stage.say("has caught the packet that carries \"", kData, "\" (AF_PACKET)");
  } else {
    stage.say("may not look at packets here (CAP_NET_RAW): computes what \"", kData, "\" takes");
  }
  stage.say("Ethernet ", headers.ethernet, " + IP ", headers.ip, " + TCP ", headers.tcp, " + data ",
            kData.size(), " = ", headers.all() + kData.size(), " bytes");
  stage.prove(capture.is_permitted() ? "bytes of headers, as caught" : "bytes of headers, computed",
              computed.all(), headers.all());
}

void play(Stage& stage) {
  show_handshake(stage);
  show_teardown(stage);
  show_restart(stage);
  show_reset(stage);
  show_layers(stage);
}

}  // namespace

const Demonstration tcp_demonstration{
    .name = "tcp",
    .summary = "handshake, half close, TIME_WAIT, RST, and what a packet weighs",
    .remember =
        "The kernel shakes hands, and keeps who is connected in a queue until accept; when that is "
        "full, SYNs are dropped and come again. Each direction is closed on its own, and who "
        "closes first has TIME_WAIT: a server that is to be restarted sets SO_REUSEADDR. Many "
        "small packets carry more headers than data.",
    .play = play,
};

}  // namespace procpool::server_demo
