#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <variant>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/channel.hpp"
#include "servers/net/connect.hpp"
#include "servers/net/datagram_socket.hpp"
#include "servers/net/descriptor_passing.hpp"
#include "servers/net/listener.hpp"
#include "tools/server_demo/demonstration.hpp"
#include "tools/server_demo/plain_socket.hpp"

namespace procpool::server_demo {
namespace {

using net::Address;
using net::DatagramSocket;
using net::Listener;

Address address_in(const Stage& stage, std::string_view name) {
  return Address::parse(text("unix:", stage.name(), "/", name));
}

UniqueFd accept_one(const Listener& listener) {
  wait_ready(listener.fd(), POLLIN, Deadline::in(kPatience));
  auto accepted = listener.try_accept();
  if (const int* error = std::get_if<int>(&accepted)) throw_errno("accept", "listener", *error);
  return std::get<UniqueFd>(std::move(accepted));
}

// The client sends a file that it has open, and whose name is gone already.
void send_nameless_file(Stage& stage, int socket) {
  const std::string path = stage.name() + "/note";
  const UniqueFd file{::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
  if (!file.valid()) throw_errno("open", path);
  write_full(file.fd(), "written before", path);
  ::unlink(path.c_str());
  ::lseek(file.fd(), 0, SEEK_SET);
  stage.say("has a file open whose name is gone; sends the descriptor, number ", file.fd());
  net::send_descriptors(socket, "file", std::array{file.fd()});
}

void receive_file(Stage& stage, int socket) {
  wait_ready(socket, POLLIN, Deadline::in(kPatience));
  std::array<char, 16> bytes;
  const auto got = net::receive_descriptors(socket, bytes);
  if (got.descriptors.empty()) throw Error{"receive", "descriptor", "none came"};
  const UniqueFd& file = got.descriptors.front();
  const std::string words = read_to_end(file.fd(), "file");
  stage.say("got it as number ", file.fd(), "; reads \"", words, "\"");
  stage.prove("read through a descriptor that was passed", "written before", words);
}

void show_stream(Stage& stage) {
  const Address address = address_in(stage, "stream");
  const auto listener = Listener::open(address);
  stage.say("listens at ", address.text(), ": a name in the file system, with permissions");
  Cue known;
  auto client = stage.enter("client", [&] {
    auto made = net::connect(address, Deadline::in(kPatience));
    if (made.failed()) throw_errno("connect", address.text(), made.error);
    stage.say("connects by the name, and says nothing of itself");
    known.await();
    send_nameless_file(stage, made.socket.fd());
  });
  auto server = stage.enter("server", [&] {
    const UniqueFd connection = accept_one(listener);
    const auto peer = ipc::peer_credentials(connection.fd());
    stage.say("asks the kernel who that is: pid ", peer.pid, ", user ", peer.uid);
    stage.prove("the peer's pid, by SO_PEERCRED", client.pid(), peer.pid);
    stage.prove("the peer's user", ::getuid(), peer.uid);
    known.give();
    receive_file(stage, connection.fd());
  });
  stage.finish(server);
  stage.finish(client);
}

void show_datagrams(Stage& stage) {
  const auto server = DatagramSocket::bind(address_in(stage, "datagram"));
  auto client = stage.enter("client", [&] {
    stage.say("sends two datagrams: by a socket without a name, and by one that has one");
    const auto nameless = DatagramSocket::open(AF_UNIX);
    nameless.try_send("who am I?", server.address());
    const auto named = DatagramSocket::bind(address_in(stage, "client"));
    named.try_send("answer me", server.address());
    std::array<char, 16> buffer;
    const auto got = named.receive(buffer, Deadline::in(kPatience));
    stage.prove("the answer to the socket with a name", "here",
                got ? std::string_view{buffer.data(), got->size} : "none");
  });
  auto answerer = stage.enter("server", [&] {
    std::array<char, 16> buffer;
    const auto first = server.receive(buffer, Deadline::in(kPatience));
    const bool has_name = first && !first->from.path().empty();
    stage.say("the first one comes from ", has_name ? first->from.path() : "nowhere",
              ": it cannot be answered");
    const auto second = server.receive(buffer, Deadline::in(kPatience));
    if (!second) throw_errno("receive", "datagram", ETIMEDOUT);
    stage.say("the second one comes from ", second->from.path(), ": answers");
    server.try_send("here", second->from);
    stage.prove("the first one came from a socket with a name", false, has_name);
  });
  stage.finish(client);
  stage.finish(answerer);
}

void show_stale_name(Stage& stage) {
  const Address address = address_in(stage, "stale");
  Cue listening;
  auto victim = stage.enter("server 1", [&] {
    const auto listener = Listener::open(address);
    stage.say("listens at ", address.text());
    listening.give();
    ::pause();
  });
  listening.await();
  stage.kill(victim);
  stage.prove("the name is left behind", true, ::access(address.path().c_str(), F_OK) == 0);
  const int refused = net::connect(address, Deadline::in(kPatience)).error;
  stage.say("connects: ", error_text(refused), "; the name leads to nobody");
  const UniqueFd naive = open_socket(AF_UNIX, SOCK_STREAM);
  const int in_use = error_of(::bind(naive.fd(), address.data(), address.size()));
  stage.say("binds as a beginner would: ", error_text(in_use));
  stage.prove("bind at a name that is left over", error_text(EADDRINUSE), error_text(in_use));

  Cue listening_again;
  Cue served;
  auto next = stage.enter("server 2", [&] {
    const auto listener = Listener::open(address);
    stage.say("connects first: nobody answers, so it removes the name and binds its own");
    listening_again.give();
    accept_one(listener);
    served.give();
  });
  listening_again.await();
  auto client = stage.enter("client", [&] {
    const auto made = net::connect(address, Deadline::in(kPatience));
    stage.say("connects by the old name: ",
              made.failed() ? error_text(made.error) : "it is served");
    stage.prove("connected after the name was taken over", true, !made.failed());
    served.await();
  });
  stage.finish(client);
  stage.finish(next);
}

void play(Stage& stage) {
  show_stream(stage);
  show_datagrams(stage);
  show_stale_name(stage);
}

}  // namespace

const Demonstration unix_demonstration{
    .name = "unix",
    .summary = "sockets with a path: who is there, descriptors passed, a name left behind",
    .remember =
        "A Unix socket stays on this machine, and so the kernel can tell who the peer is and carry "
        "descriptors to it. Its name outlives its server: a name where connect says ECONNREFUSED "
        "belongs to nobody, and may be replaced; unlinking without looking would steal it from a "
        "server that lives.",
    .play = play,
};

}  // namespace procpool::server_demo
