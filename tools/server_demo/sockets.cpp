#include <linux/capability.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cstring>
#include <span>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "servers/net/byte_order.hpp"
#include "tools/server_demo/demonstration.hpp"
#include "tools/server_demo/plain_socket.hpp"

namespace procpool::server_demo {
namespace {

struct Kind {
  std::string_view name;
  int type;
  std::string_view two_writes_one_read;
  std::string_view half_a_message;
  std::string_view end;  // what is read when the peer has left
};

constexpr std::array kKinds{
    Kind{.name = "stream",
         .type = SOCK_STREAM,
         .two_writes_one_read = "abcdef",
         .half_a_message = "ab, then cdef",
         .end = "the end"},
    Kind{.name = "datagram",
         .type = SOCK_DGRAM,
         .two_writes_one_read = "abc",
         .half_a_message = "ab, then def",
         .end = "nothing, for ever"},
    Kind{.name = "seqpacket",
         .type = SOCK_SEQPACKET,
         .two_writes_one_read = "abc",
         .half_a_message = "ab, then def",
         .end = "the end"},
};

// Connected Unix sockets of the kind; from the first one somebody has written "abc" and "def".
struct Pair {
  UniqueFd writer;
  UniqueFd reader;
};

Pair pair_of(const Kind& kind) {
  std::array<int, 2> sockets{};
  if (::socketpair(AF_UNIX, kind.type | SOCK_CLOEXEC, 0, sockets.data()) < 0) {
    throw_errno("socketpair", kind.name);
  }
  return {.writer = UniqueFd{sockets[0]}, .reader = UniqueFd{sockets[1]}};
}

void let_write(Stage& stage, const Kind& kind, Pair& pair) {
  auto writer = stage.enter("writer", [&] {
    stage.say(kind.name, ": writes \"abc\", then \"def\"");
    send_all(pair.writer.fd(), "abc");
    send_all(pair.writer.fd(), "def");
  });
  stage.finish(writer);
}

std::string end_seen_by(int socket) {
  char byte = 0;
  const int error = error_of(::recv(socket, &byte, 1, MSG_DONTWAIT));
  if (error == EAGAIN) return "nothing, for ever";
  return error == 0 ? "the end" : error_text(error);
}

void show_kind(Stage& stage, const Kind& kind) {
  constexpr std::size_t kLarge = 100;
  Pair pair = pair_of(kind);
  let_write(stage, kind, pair);
  auto greedy = stage.enter("reader", [&] {
    const std::string got = receive(pair.reader.fd(), kLarge);
    stage.say("reads as much as there is: \"", got, "\"");
    stage.prove(text(kind.name, ": two writes, one read"), kind.two_writes_one_read, got);
  });
  stage.finish(greedy);

  Pair again = pair_of(kind);
  let_write(stage, kind, again);
  again.writer.reset();
  auto modest = stage.enter("reader", [&] {
    const std::string half = receive(again.reader.fd(), 2);
    const std::string rest = receive(again.reader.fd(), kLarge);
    stage.say("reads 2 bytes: \"", half, "\"; then all it can: \"", rest, "\"");
    stage.prove(text(kind.name, ": a read of 2 bytes, and one more"), kind.half_a_message,
                text(half, ", then ", rest));
    while (::recv(again.reader.fd(), nullptr, 0, MSG_DONTWAIT | MSG_TRUNC) > 0) {
    }
    const std::string end = end_seen_by(again.reader.fd());
    stage.say("the writer has left; reads: ", end);
    stage.prove(text(kind.name, ": the writer has left"), kind.end, end);
  });
  stage.finish(modest);

  const UniqueFd alone = open_socket(AF_UNIX, kind.type);
  const int refused = error_of(::send(alone.fd(), "a", 1, MSG_NOSIGNAL));
  stage.prove(text(kind.name, ": send without a peer"), error_text(ENOTCONN), error_text(refused));
}

// RFC 1071.
std::uint16_t checksum_of(std::span<const std::uint16_t> words) {
  std::uint32_t sum = 0;
  for (const std::uint16_t word : words) sum += word;
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

icmphdr echo_request(std::uint16_t id) {
  icmphdr request{};
  request.type = ICMP_ECHO;
  request.un.echo.id = id;
  request.checksum =
      checksum_of(std::bit_cast<std::array<std::uint16_t, sizeof request / 2>>(request));
  return request;
}

// Waits for the reply among all ICMP of this machine, which a raw socket sees.
void ping(Stage& stage, int socket) {
  const auto id = static_cast<std::uint16_t>(::getpid());
  const auto request = echo_request(id);
  const net::Address to = any_loopback_port();
  if (::sendto(socket, &request, sizeof request, 0, to.data(), to.size()) < 0) {
    throw_errno("sendto", "127.0.0.1");
  }
  stage.say("writes an ICMP echo request of ", sizeof request, " bytes itself, checksum and all");
  const auto deadline = Deadline::in(kPatience);
  std::array<char, 1500> packet;
  while (wait_ready(socket, POLLIN, deadline) != 0) {
    const ssize_t bytes = ::recv(socket, packet.data(), packet.size(), 0);
    const std::size_t ip_header = static_cast<std::size_t>(packet[0] & 0x0f) * 4;
    if (bytes < static_cast<ssize_t>(ip_header + sizeof(icmphdr))) continue;
    icmphdr reply;
    std::memcpy(&reply, packet.data() + ip_header, sizeof reply);
    if (reply.type != ICMP_ECHOREPLY || reply.un.echo.id != id) continue;
    stage.say("reads ", bytes, " bytes: the IP header (", ip_header, ") comes with it");
    stage.prove("raw: bytes of an echo reply, with its IP header", 20 + sizeof reply, bytes);
    return;
  }
  stage.prove("raw: an echo reply", "came", "did not come");
}

// capset(2), which glibc has no function for.
void give_up_capabilities() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> none{};
  if (::syscall(SYS_capset, &header, none.data()) < 0) throw_errno("capset");
}

void show_raw(Stage& stage) {
  auto privileged = stage.enter("pinger", [&] {
    const UniqueFd socket{::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP)};
    if (socket.valid()) {
      ping(stage, socket.fd());
    } else {
      stage.say("may not have a raw socket here: ", error_text(errno), "; it needs CAP_NET_RAW");
    }
  });
  stage.finish(privileged);
  auto nobody = stage.enter("nobody", [&] {
    give_up_capabilities();
    const UniqueFd socket{::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP)};
    const int refused = socket.valid() ? 0 : errno;
    stage.say("gives up its capabilities, and asks for a raw socket: ", error_text(refused));
    stage.prove("raw: without CAP_NET_RAW", error_text(EPERM), error_text(refused));
  });
  stage.finish(nobody);
}

void play(Stage& stage) {
  for (const Kind& kind : kKinds) show_kind(stage, kind);
  show_raw(stage);
}

}  // namespace

const Demonstration sockets_demonstration{
    .name = "sockets",
    .summary = "stream, datagram, seqpacket and raw, side by side",
    .remember =
        "A stream has order and an end, and no boundaries. A datagram has boundaries: what a read "
        "leaves of it is gone; and it has no end, so nobody hears that the peer has left. "
        "Seqpacket has both, on Unix sockets. Raw sockets see whole packets, hence only who has "
        "CAP_NET_RAW may have one.",
    .play = play,
};

}  // namespace procpool::server_demo
