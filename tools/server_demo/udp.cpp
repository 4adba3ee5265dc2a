#include <linux/sock_diag.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <charconv>
#include <optional>
#include <set>
#include <vector>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/shared.hpp"
#include "servers/net/datagram_socket.hpp"
#include "servers/net/socket_option.hpp"
#include "tools/server_demo/demonstration.hpp"
#include "tools/server_demo/plain_socket.hpp"

namespace procpool::server_demo {
namespace {

using net::DatagramSocket;

constexpr std::size_t kLargest = 65507;  // 65,535 without the headers of IP (20) and UDP (8)

std::string receive_text(const DatagramSocket& socket) {
  std::array<char, 1024> buffer;
  const auto got = socket.receive(buffer, Deadline::in(kPatience));
  if (!got) throw_errno("receive", "datagram", ETIMEDOUT);
  return {buffer.data(), got->size};
}

// The errno of a send, whether it is a value or an Error.
int send_error(const DatagramSocket& socket, std::string_view bytes, const net::Address& to) {
  try {
    return socket.try_send(bytes, to);
  } catch (const Error& error) {
    return error.code().value();
  }
}

void show_boundaries(Stage& stage) {
  const auto receiver = DatagramSocket::bind(any_loopback_port());
  auto sender = stage.enter("sender", [&] {
    const auto socket = DatagramSocket::open(AF_INET);
    stage.say("connects to nobody; sends \"red\", \"green\" and one of no bytes");
    for (const std::string_view word : {"red", "green", ""}) {
      socket.try_send(word, receiver.address());
    }
  });
  stage.finish(sender);
  auto reader = stage.enter("receiver", [&] {
    std::string all;
    for (int i = 0; i < 3; ++i) all += text("[", receive_text(receiver), "]");
    stage.say("receives three times: ", all);
    stage.prove("three datagrams, three receives", "[red][green][]", all);
  });
  stage.finish(reader);
}

void show_too_large(Stage& stage) {
  const auto receiver = DatagramSocket::bind(any_loopback_port());
  auto sender = stage.enter("sender", [&] {
    const auto socket = DatagramSocket::open(AF_INET);
    const int refused = send_error(socket, std::string(kLargest + 1, 'x'), receiver.address());
    stage.say("sends ", kLargest + 1, " bytes: ", error_text(refused));
    const int taken = send_error(socket, std::string(kLargest, 'x'), receiver.address());
    stage.say("sends ", kLargest, " bytes: ", taken == 0 ? "taken" : error_text(taken));
    stage.prove("a datagram that is too large", error_text(EMSGSIZE), error_text(refused));
    stage.prove("the largest one", 0, taken);
  });
  stage.finish(sender);
}

void show_truncation(Stage& stage) {
  constexpr std::string_view kWords = "a datagram of some length";
  const auto receiver = DatagramSocket::bind(any_loopback_port());
  auto sender = stage.enter("sender", [&] {
    stage.say("sends \"", kWords, "\" twice");
    const auto socket = DatagramSocket::open(AF_INET);
    for (int i = 0; i < 2; ++i) socket.try_send(kWords, receiver.address());
  });
  stage.finish(sender);
  auto reader = stage.enter("receiver", [&] {
    std::array<char, 10> small;
    const auto got = receiver.receive(small, Deadline::in(kPatience));
    stage.say("has a buffer of ", small.size(), " bytes: gets \"",
              std::string_view{small.data(), got ? got->size : 0}, "\", and MSG_TRUNC");
    stage.prove("the first one was cut off", true, got && got->truncated);
    wait_ready(receiver.fd(), POLLIN, Deadline::in(kPatience));
    const ssize_t size = ::recv(receiver.fd(), nullptr, 0, MSG_PEEK | MSG_TRUNC);
    std::string large(static_cast<std::size_t>(std::max<ssize_t>(size, 1)), '\0');
    const auto next = receiver.receive(large, Deadline::in(kPatience));
    stage.say("asks first how large the next one is (MSG_PEEK | MSG_TRUNC: ", size,
              "), and has it whole; the rest of the first one is gone");
    stage.prove("the second one", kWords, next && !next->truncated ? large : "");
  });
  stage.finish(reader);
}

// Datagrams that the kernel threw away because the socket's buffer was full: SO_MEMINFO, socket(7).
unsigned dropped_at(const DatagramSocket& socket) {
  std::array<std::uint32_t, SK_MEMINFO_VARS> memory{};
  socklen_t size = sizeof memory;
  if (::getsockopt(socket.fd(), SOL_SOCKET, SO_MEMINFO, memory.data(), &size) < 0) {
    throw_errno("getsockopt", "SO_MEMINFO");
  }
  return memory.at(SK_MEMINFO_DROPS);
}

constexpr unsigned kMany = 200;

DatagramSocket with_small_buffer() {
  auto socket = DatagramSocket::bind(any_loopback_port());
  net::set_option(socket.fd(), net::kReceiveBuffer, 4096);
  return socket;
}

void show_loss(Stage& stage) {
  const auto receiver = with_small_buffer();
  ipc::Shared<unsigned> taken;
  auto sender = stage.enter("sender", [&] {
    const auto socket = DatagramSocket::open(AF_INET);
    for (unsigned i = 0; i < kMany; ++i) {
      if (socket.try_send(text(i), receiver.address()) == 0) ++*taken;
    }
    stage.say("has sent ", kMany, " datagrams; the kernel took ", *taken,
              ", and complains of none");
  });
  stage.finish(sender);
  auto reader = stage.enter("receiver", [&] {
    stage.say("was busy; has room for ", net::get_option(receiver.fd(), net::kReceiveBuffer),
              " bytes, and the kernel counts its own work on each as well");
    unsigned received = 0;
    std::array<char, 16> buffer;
    await("datagrams", [&] {
      while (receiver.try_receive(buffer)) ++received;
      return received + dropped_at(receiver) == *taken;
    });
    stage.say("receives ", received, "; ", dropped_at(receiver), " are lost");
    stage.prove("some are lost", true, received < kMany);
    stage.prove("received + dropped by the kernel = sent", *taken, received + dropped_at(receiver));
  });
  stage.finish(reader);
}

// One at a time: sent again until its acknowledgement is here.
void send_surely(const DatagramSocket& socket, const std::string& number) {
  constexpr std::chrono::milliseconds kResendAfter{200};
  std::array<char, 16> answer;
  for (;;) {
    socket.try_send(number);
    const auto deadline = Deadline::in(kResendAfter);
    while (const auto got = socket.receive(answer, deadline)) {
      if (std::string_view{answer.data(), got->size} == number) return;
    }
  }
}

void show_acknowledgements(Stage& stage) {
  const auto receiver = with_small_buffer();
  auto reader = stage.enter("receiver", [&] {
    stage.say("has the same small buffer, and sends the number of each back");
    std::set<std::string> numbers;  // what was sent again is here once
    std::array<char, 16> buffer;
    while (numbers.size() < kMany) {
      const auto got = receiver.receive(buffer, Deadline::in(kPatience));
      if (!got) break;
      const std::string number{buffer.data(), got->size};
      numbers.insert(number);
      receiver.try_send(number, got->from);
    }
    stage.say("has all: ", numbers.size());
    stage.prove("received with acknowledgements", kMany, numbers.size());
  });
  auto sender = stage.enter("sender", [&] {
    auto socket = DatagramSocket::open(AF_INET);
    socket.connect(receiver.address());
    stage.say("sends ", kMany, " datagrams, each when the one before is acknowledged");
    for (unsigned i = 0; i < kMany; ++i) send_surely(socket, text(i));
  });
  stage.finish(sender);
  stage.finish(reader);
}

void show_refusal(Stage& stage) {
  const net::Address nobody = DatagramSocket::bind(any_loopback_port()).address();  // closed again
  auto sender = stage.enter("sender", [&] {
    const auto stranger = DatagramSocket::open(AF_INET);
    const int sent = stranger.try_send("hello?", nobody);
    stage.say("sends to ", nobody.text(),
              ", where nobody is: ", sent == 0 ? "taken, as always" : error_text(sent));
    auto acquainted = DatagramSocket::open(AF_INET);
    acquainted.connect(nobody);
    acquainted.try_send("hello?");
    wait_ready(acquainted.fd(), POLLIN, Deadline::in(kPatience));
    const int heard = net::get_option(acquainted.fd(), net::kError);
    stage.say("does the same by a socket that is connected: ", error_text(heard),
              ", from an ICMP answer");
    stage.prove("what the unconnected socket hears", 0,
                net::get_option(stranger.fd(), net::kError));
    stage.prove("what the connected socket hears", error_text(ECONNREFUSED), error_text(heard));
  });
  stage.finish(sender);
}

void play(Stage& stage) {
  show_boundaries(stage);
  show_too_large(stage);
  show_truncation(stage);
  show_loss(stage);
  show_acknowledgements(stage);
  show_refusal(stage);
}

}  // namespace

const Demonstration udp_demonstration{
    .name = "udp",
    .summary = "datagrams: whole, or cut off, or lost, and nobody says so",
    .remember =
        "A datagram keeps its boundaries, and that is all that is promised: it is lost without a "
        "word when the receiver's buffer is full. Who needs all of them numbers, acknowledges and "
        "sends again. A connected UDP socket has no connection; it has a peer of whom it hears "
        "that he is not there.",
    .play = play,
};

}  // namespace procpool::server_demo
