// Messages, and descriptors with them, both ways between processes.
//
//   auto [left, right] = ipc::make_channel();
//   left.send(bytes, {{client.fd()}});              // the receiver gets a descriptor of its own
//   auto received = right.try_receive(buffer);
//   if (received.outcome == Channel::Outcome::message)
//     serve(std::move(received.descriptors[0]), std::span{buffer}.first(received.size));
//   left.send(job);                                 // a value, by its Codec
//   while (auto job = right.receive<Job>().value) work(*job);       // until left is closed
#pragma once

#include <sys/types.h>

#include <array>
#include <concepts>
#include <cstddef>
#include <optional>
#include <ranges>
#include <span>
#include <utility>
#include <vector>

#include "ipc/base/deadline.hpp"
#include "ipc/base/unique_fd.hpp"
#include "ipc/codec.hpp"

namespace procpool::ipc {

// One side of a pair of connected SOCK_SEQPACKET sockets, unix(7). Owns its descriptor, which is
// close-on-exec and in blocking mode; a child of fork owns a copy of the same side. Any number of
// processes and threads may send and receive on one side: a message arrives whole, in order, at
// exactly one receiver; one that is killed while it receives loses at most that message. The
// channel is closed for a side when no process holds the other one any more, so each process should
// close the side that it does not use. What was sent before can still be received then.
//
// A message of more than kMostInline bytes (or than the socket takes) travels in a sealed memfd,
// which neither side notices but by the time: it is whole, in order and lost with nobody, too.
// Values and bytes are the same messages: those of a Codec, behind which nothing is put.
class Channel {
 public:
  static constexpr std::size_t kMostDescriptors = 8;  // in one message
  static constexpr std::size_t kMostInline = 65536;

  enum class SendResult {
    sent,
    full,  // the queue holds all it may (SO_SNDBUF, about 200 KiB, each message being charged some
           // 700 bytes more than its size), or too many descriptors are in flight (RLIMIT_NOFILE)
    closed,  // nobody is left to receive
  };

  enum class Outcome {
    message,
    empty,   // there is none at present
    closed,  // there is none and nobody is left to send one
  };

  struct Received {
    Outcome outcome = Outcome::empty;
    std::size_t size = 0;              // of the message, in the buffer
    std::size_t descriptor_count = 0;  // of which the rest of the array owns nothing
    std::array<UniqueFd, kMostDescriptors> descriptors;  // close-on-exec

    // The sender sent more descriptors than are here: this process's table is full (EMFILE), or
    // there were more than kMostDescriptors. Those that are missing are closed.
    bool descriptors_lost = false;
  };

  // What is sent by its Codec: not what is bytes already, and no view of what lies elsewhere.
  template <typename T>
  static constexpr bool kIsValue = Encodable<T> && !std::ranges::view<T> &&
                                   !std::convertible_to<const T&, std::span<const std::byte>>;

  explicit Channel(UniqueFd socket) noexcept : socket_{std::move(socket)} {}

  // Sends a message of 1 byte or more, with up to kMostDescriptors descriptors, which remain the
  // caller's. Neither blocks nor allocates, but for the memfd of a large one. Throws Error: EINVAL
  // for an empty one (it could not be told from the end) or too many descriptors.
  SendResult try_send(std::span<const std::byte> bytes, std::span<const int> descriptors = {});

  // The same, but waits while the queue is full: until there is room, or for `full` until the
  // deadline.
  SendResult send_until(Deadline deadline, std::span<const std::byte> bytes,
                        std::span<const int> descriptors = {});
  SendResult send(std::span<const std::byte> bytes, std::span<const int> descriptors = {}) {
    return send_until(Deadline::never(), bytes, descriptors);
  }

  // Takes the next message. Neither blocks nor allocates. Throws Error EMSGSIZE when the message is
  // larger than the buffer; it is gone then, and its descriptors are closed.
  Received try_receive(std::span<std::byte> buffer);

  // The same, but waits while there is none: until one comes, or for `empty` until the deadline.
  Received receive_until(Deadline deadline, std::span<std::byte> buffer);
  Received receive(std::span<std::byte> buffer) { return receive_until(Deadline::never(), buffer); }

  // The same for messages of any size: the vector is made as large as the message (empty if there
  // is none). It allocates what the sender has allocated, and no more. Throws Error EMSGSIZE for a
  // message that is larger than kMostInline and not in a memfd, which no Channel sends.
  Received try_receive(std::vector<std::byte>& message) {
    return receive_until(Deadline::now(), message);
  }
  Received receive_until(Deadline deadline, std::vector<std::byte>& message);
  Received receive(std::vector<std::byte>& message) {
    return receive_until(Deadline::never(), message);
  }

  // The same for values. What cannot be decoded throws Error, and is gone.
  template <typename T>
    requires kIsValue<T>
  SendResult try_send(const T& value, std::span<const int> descriptors = {}) {
    return send_until(Deadline::now(), value, descriptors);
  }
  template <typename T>
    requires kIsValue<T>
  SendResult send_until(Deadline deadline, const T& value, std::span<const int> descriptors = {}) {
    std::vector<std::byte> bytes;
    Codec<T>::encode(value, bytes);
    return deliver(deadline, bytes, descriptors);
  }
  template <typename T>
    requires kIsValue<T>
  SendResult send(const T& value, std::span<const int> descriptors = {}) {
    return send_until(Deadline::never(), value, descriptors);
  }

  template <typename T>
  struct ReceivedValue : Received {
    std::optional<T> value;  // nullopt: the outcome is not `message`
  };
  template <Encodable T>
  ReceivedValue<T> try_receive() {
    return receive_until<T>(Deadline::now());
  }
  template <Encodable T>
  ReceivedValue<T> receive_until(Deadline deadline) {
    std::vector<std::byte> bytes;
    ReceivedValue<T> received{receive_until(deadline, bytes), std::nullopt};
    if (received.outcome == Outcome::message) received.value = Codec<T>::decode(bytes);
    return received;
  }
  template <Encodable T>
  ReceivedValue<T> receive() {
    return receive_until<T>(Deadline::never());
  }

  bool ready() const;  // a message or the end is there. Never blocks

  int fd() const noexcept { return socket_.fd(); }  // readable: a message or the end is there
  [[nodiscard]] UniqueFd release() noexcept { return std::move(socket_); }
  void close() noexcept { socket_.reset(); }

 private:
  SendResult deliver(Deadline deadline, std::span<const std::byte> bytes,
                     std::span<const int> descriptors);

  UniqueFd socket_;
};

struct ChannelPair {
  Channel left;
  Channel right;
};

// Throws Error (EMFILE). socketpair(2).
ChannelPair make_channel();

// Who made the other side of a Unix socket: for a pair the process that called make_channel(), for
// an accepted connection the one that connected. SO_PEERCRED, unix(7). Throws Error.
struct PeerCredentials {
  pid_t pid;
  uid_t uid;
  gid_t gid;
};
PeerCredentials peer_credentials(int socket);
inline PeerCredentials peer_credentials(const Channel& channel) {
  return peer_credentials(channel.fd());
}

}  // namespace procpool::ipc
