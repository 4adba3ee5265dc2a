// Descriptors that go with the bytes of a Unix stream or datagram socket. (For messages between
// processes of one program there is ipc::Channel.)
//
//   send_descriptors(stream.fd(), "log", {{file.fd()}});
//   DescriptorMessage got = receive_descriptors(connection.fd(), buffer);
//   if (got.error == 0) use(std::move(got.descriptors.front()), {buffer.data(), got.bytes});
//   ipc::peer_credentials(connection.fd()).uid;                    // ipc/channel.hpp
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "ipc/base/unique_fd.hpp"
#include "servers/net/io_result.hpp"

namespace procpool::net {

inline constexpr std::size_t kMostDescriptorsAtOnce = 8;

// Sends bytes, at least one, and with the first of them the descriptors, which remain the caller's.
// Never blocks. The result: how many bytes were sent, and the descriptors with them, if any were;
// or EAGAIN (no room), EPIPE, ECONNRESET (the peer has left), ETOOMANYREFS (too many are on their
// way). Throws Error: no bytes, too many descriptors, no Unix socket. unix(7).
IoResult send_descriptors(int socket, std::string_view bytes, std::span<const int> descriptors);

struct DescriptorMessage : IoResult {
  std::vector<UniqueFd> descriptors{};  // close-on-exec
  bool descriptors_lost = false;        // more came: too many, or this process's table is full
};

// What is there: of a stream not beyond the bytes that the next descriptors come with. Never
// blocks: EAGAIN. 0 bytes without an error: the end. Throws Error: no socket.
DescriptorMessage receive_descriptors(int socket, std::span<char> buffer);

}  // namespace procpool::net
