#include "ipc/channel.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"

namespace procpool::ipc {
namespace {

// Room for kMostDescriptors. CMSG_SPACE rounds up, so one more may fit, and the receiver counts.
struct ControlBuffer {
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int) * Channel::kMostDescriptors)> bytes;
};

void put_descriptors(msghdr& header, ControlBuffer& control, std::span<const int> descriptors) {
  if (descriptors.empty()) return;
  header.msg_control = control.bytes.data();
  header.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
  cmsghdr* item = CMSG_FIRSTHDR(&header);
  item->cmsg_level = SOL_SOCKET;
  item->cmsg_type = SCM_RIGHTS;
  item->cmsg_len = CMSG_LEN(descriptors.size_bytes());
  std::memcpy(CMSG_DATA(item), descriptors.data(), descriptors.size_bytes());
}

// Owns every descriptor that the kernel has put into this process, before anything else can fail.
void take_descriptors(msghdr& header, Channel::Received& received) {
  received.descriptors_lost = (header.msg_flags & MSG_CTRUNC) != 0;
  for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int descriptor = -1;
      std::memcpy(&descriptor, CMSG_DATA(item) + i * sizeof(int), sizeof(int));
      UniqueFd owner{descriptor};
      if (received.descriptor_count < Channel::kMostDescriptors) {
        received.descriptors[received.descriptor_count++] = std::move(owner);
      } else {
        received.descriptors_lost = true;
      }
    }
  }
}

// When the other side is closed with messages unread, the kernel reports ECONNRESET once, before
// what is still queued here: the next call tells what there is.
template <typename Call>
ssize_t retry_interrupted(Call&& call) {
  ssize_t result;
  do {
    result = call();
  } while (result < 0 && (errno == EINTR || errno == ECONNRESET));
  return result;
}

// 0 or the errno of a message that was not sent.
int send_now(int socket, std::span<const std::byte> bytes, std::span<const int> descriptors) {
  if (bytes.empty()) throw Error{"send", "channel", "a message must not be empty"};
  if (descriptors.size() > Channel::kMostDescriptors) {
    throw Error{"send", "channel", "too many descriptors for one message"};
  }
  iovec data{.iov_base = const_cast<std::byte*>(bytes.data()), .iov_len = bytes.size()};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  ControlBuffer control{};
  put_descriptors(header, control, descriptors);
  const ssize_t n =
      retry_interrupted([&] { return ::sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL); });
  return n < 0 ? errno : 0;
}

Channel::SendResult result_of(int error) {
  switch (error) {
    case 0:
      return Channel::SendResult::sent;
    case EAGAIN:
    case ETOOMANYREFS:
      return Channel::SendResult::full;
    case EPIPE:
      return Channel::SendResult::closed;
    default:
      throw_errno("send", "channel", error);
  }
}

}  // namespace

Channel::SendResult Channel::try_send(std::span<const std::byte> bytes,
                                      std::span<const int> descriptors) {
  return result_of(send_now(fd(), bytes, descriptors));
}

Channel::SendResult Channel::send_until(Deadline deadline, std::span<const std::byte> bytes,
                                        std::span<const int> descriptors) {
  for (;;) {
    const int error = send_now(fd(), bytes, descriptors);
    const SendResult result = result_of(error);
    if (result != SendResult::full || deadline.expired()) return result;
    if (error == ETOOMANYREFS) {
      constexpr std::chrono::milliseconds kPause{1};
      std::this_thread::sleep_for(kPause);  // no event tells when fewer are in flight
    } else {
      wait_ready(fd(), POLLOUT, deadline);
    }
  }
}

Channel::Received Channel::try_receive(std::span<std::byte> buffer) {
  iovec data{.iov_base = buffer.data(), .iov_len = buffer.size()};
  ControlBuffer control{};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  const ssize_t n = retry_interrupted([&] {
    header.msg_control = control.bytes.data();
    header.msg_controllen = control.bytes.size();
    return ::recvmsg(fd(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  });
  Received received;
  if (n < 0) {
    if (errno == EAGAIN) return received;
    throw_errno("receive", "channel");
  }
  take_descriptors(header, received);
  if ((header.msg_flags & MSG_TRUNC) != 0) throw_errno("receive", "channel", EMSGSIZE);
  received.outcome = n == 0 ? Outcome::closed : Outcome::message;
  received.size = static_cast<std::size_t>(n);
  return received;
}

Channel::Received Channel::receive_until(Deadline deadline, std::span<std::byte> buffer) {
  for (;;) {
    Received received = try_receive(buffer);
    if (received.outcome != Outcome::empty) return received;
    if (wait_ready(fd(), POLLIN, deadline) == 0) return received;
  }
}

ChannelPair make_channel() {
  std::array<int, 2> sides{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sides.data()) < 0) {
    throw_errno("socketpair");
  }
  return {.left = Channel{UniqueFd{sides[0]}}, .right = Channel{UniqueFd{sides[1]}}};
}

PeerCredentials peer_credentials(const Channel& channel) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(channel.fd(), SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
    throw_errno("getsockopt", "SO_PEERCRED");
  }
  return {.pid = peer.pid, .uid = peer.uid, .gid = peer.gid};
}

}  // namespace procpool::ipc
