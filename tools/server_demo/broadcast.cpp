#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <vector>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "servers/net/datagram_socket.hpp"
#include "tools/server_demo/demonstration.hpp"
#include "tools/server_demo/plain_socket.hpp"

namespace procpool::server_demo {
namespace {

using net::Address;
using net::DatagramSocket;

constexpr std::size_t kListeners = 3;

Address with_port(std::string_view host, const DatagramSocket& socket) {
  return Address::parse(text(host, ":", socket.address().port()));
}

// All at one port of every address.
std::vector<DatagramSocket> listeners() {
  std::vector<DatagramSocket> sockets;
  sockets.push_back(DatagramSocket::bind_shared(Address::parse("0.0.0.0:0")));
  while (sockets.size() < kListeners) {
    sockets.push_back(DatagramSocket::bind_shared(with_port("0.0.0.0", sockets.front())));
  }
  return sockets;
}

std::string next_words(const DatagramSocket& socket) {
  std::array<char, 64> buffer;
  const auto got = socket.receive(buffer, Deadline::in(kPatience));
  return got ? std::string{buffer.data(), got->size} : "nothing";
}

void listen_to(Stage& stage, const std::vector<DatagramSocket>& sockets, std::string_view expected,
               std::string_view what) {
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    auto listener = stage.enter(text("listener ", i + 1), [&] {
      const std::string words = next_words(sockets[i]);
      stage.say("hears \"", words, "\"");
      stage.prove(text(what, ", listener ", i + 1), expected, words);
    });
    stage.finish(listener);
  }
}

void show_broadcast(Stage& stage) {
  const auto sockets = listeners();
  const Address all = with_port("127.255.255.255", sockets.front());
  auto sender = stage.enter("sender", [&] {
    auto socket = DatagramSocket::open(AF_INET);
    int refused = 0;
    try {
      refused = socket.try_send("to all", all);
    } catch (const Error& error) {
      refused = error.code().value();
    }
    stage.say("sends to ", all.text(), ", which is everybody on loopback: ", error_text(refused));
    stage.prove("a broadcast without SO_BROADCAST", error_text(EACCES), error_text(refused));
    socket.allow_broadcast();
    const int sent = socket.try_send("to all", all);
    stage.say("sets SO_BROADCAST, which means: I know what I do; sends again, once");
    stage.prove("the same with SO_BROADCAST", 0, sent);
  });
  stage.finish(sender);
  listen_to(stage, sockets, "to all", "broadcast");
}

// Linux delivers a group to every socket of the port, if any process has joined it, unless told
// otherwise: ip(7).
void hear_only_joined_groups(const DatagramSocket& socket) {
  const int no = 0;
  if (::setsockopt(socket.fd(), IPPROTO_IP, IP_MULTICAST_ALL, &no, sizeof no) < 0) {
    throw_errno("setsockopt", "IP_MULTICAST_ALL");
  }
}

void show_multicast(Stage& stage) {
  constexpr std::string_view kGroup = "239.255.47.11";
  auto sockets = listeners();
  auto stranger = std::move(sockets.back());
  sockets.pop_back();
  const Address group = with_port(kGroup, sockets.front());
  for (auto& socket : sockets) socket.join(group, "lo");
  hear_only_joined_groups(stranger);
  stage.say("two listeners join the group ", kGroup, " on loopback; the third one does not");
  auto sender = stage.enter("sender", [&] {
    auto socket = DatagramSocket::open(AF_INET);
    socket.send_groups_by("lo");
    stage.say("is no member, and needs no permission: sends to the group, once");
    socket.try_send("to the group", group);
  });
  stage.finish(sender);
  listen_to(stage, sockets, "to the group", "multicast");
  const bool heard = wait_ready(stranger.fd(), POLLIN, Deadline::now()) != 0;
  stage.say("looks: the third one has heard ", heard ? "it" : "nothing");
  stage.prove("who has not joined hears it", false, heard);
}

void play(Stage& stage) {
  show_broadcast(stage);
  show_multicast(stage);
}

}  // namespace

const Demonstration broadcast_demonstration{
    .name = "broadcast",
    .summary = "one datagram for everybody (SO_BROADCAST), or for a group (multicast)",
    .remember =
        "One send reaches all sockets of a port in the network: the kernel asks for SO_BROADCAST, "
        "so that nobody does it by accident. A multicast group reaches those who joined it, and "
        "passes routers that are told so. Both are datagrams, and get lost as such.",
    .play = play,
};

}  // namespace procpool::server_demo
