#include "ipc/channel.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <thread>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/detail/passed_descriptors.hpp"

namespace procpool::ipc {
namespace {

// A message in a memfd is sent as a notice of it and one descriptor more than any other may have:
// the sender's, then those of the memfd up to that number. So nothing that users send can be taken
// for one. The mark tells one whose descriptors were lost on the way.
constexpr std::size_t kNoticeDescriptors = Channel::kMostDescriptors + 1;
static_assert(kNoticeDescriptors == detail::kMostPassed);
constexpr std::array<std::uint64_t, 2> kMark{0x5d8e9f0cb1a64372, 0xe6037a1f94c8d25b};
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;

struct Notice {
  std::array<std::uint64_t, 2> mark;
  std::uint64_t size;              // of the message
  std::uint64_t descriptor_count;  // of the sender's
};

void give_descriptors(detail::PassedDescriptors& from, std::size_t count, Channel::Received& to) {
  to.descriptor_count = std::min(count, Channel::kMostDescriptors);
  to.descriptors_lost = from.lost || count > Channel::kMostDescriptors;
  std::move(from.kept.begin(), from.kept.begin() + to.descriptor_count, to.descriptors.begin());
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
  iovec data{.iov_base = const_cast<std::byte*>(bytes.data()), .iov_len = bytes.size()};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  detail::ControlBuffer control{};
  detail::put_descriptors(header, control, descriptors);
  const ssize_t n =
      retry_interrupted([&] { return ::sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL); });
  return n < 0 ? errno : 0;
}

// A message in a memfd that nobody can change any more.
class LargeMessage {
 public:
  LargeMessage(std::span<const std::byte> bytes, std::span<const int> descriptors)
      : body_{::memfd_create("procpool-message", MFD_CLOEXEC | MFD_ALLOW_SEALING)},
        notice_{.mark = kMark, .size = bytes.size(), .descriptor_count = descriptors.size()} {
    if (!body_.valid()) throw_errno("memfd_create");
    write_full(body_.fd(), bytes, "memfd");
    if (::fcntl(body_.fd(), F_ADD_SEALS, kSeals) < 0) throw_errno("seal", "memfd");
    descriptors_.fill(body_.fd());
    std::ranges::copy(descriptors, descriptors_.begin());
  }

  int send_now(int socket) const {
    return ipc::send_now(socket, std::as_bytes(std::span{&notice_, 1}), descriptors_);
  }

 private:
  UniqueFd body_;
  Notice notice_;
  std::array<int, kNoticeDescriptors> descriptors_{};
};

// The sender may be hostile. Sealed, so that it does not shrink meanwhile; allocated by its sender,
// so that a number alone makes nobody allocate. place(size) has room for the bytes.
template <typename Place>
void read_body(const UniqueFd& body, std::size_t size, const Place& place) {
  struct stat status{};
  const int seals = ::fcntl(body.fd(), F_GET_SEALS);
  constexpr std::uint64_t kBlock = 512;  // stat(2)
  if (seals < 0 || (seals & kSeals) != kSeals || ::fstat(body.fd(), &status) < 0 ||
      static_cast<std::uint64_t>(status.st_size) != size ||
      static_cast<std::uint64_t>(status.st_blocks) * kBlock < size) {
    throw Error{"receive", "channel", "a large message is not what its sender says it is"};
  }
  std::span<std::byte> rest = place(size);
  off_t offset = 0;
  while (!rest.empty()) {
    const ssize_t n =
        retry_eintr([&] { return ::pread(body.fd(), rest.data(), rest.size(), offset); });
    if (n <= 0) throw_errno("read", "memfd");
    offset += n;
    rest = rest.subspan(static_cast<std::size_t>(n));
  }
}

// Puts a message into the buffer, or into its place if it is in a memfd.
template <typename Place>
Channel::Received receive_now(int socket, std::span<std::byte> buffer, const Place& place) {
  std::array<std::byte, sizeof(Notice)> spill{};  // for a notice in front of a small buffer
  std::array<iovec, 2> data{iovec{.iov_base = buffer.data(), .iov_len = buffer.size()},
                            iovec{.iov_base = spill.data(), .iov_len = spill.size()}};
  detail::ControlBuffer control{};
  msghdr header{};
  header.msg_iov = data.data();
  header.msg_iovlen = data.size();
  const ssize_t n = retry_interrupted([&] {
    header.msg_control = control.bytes.data();
    header.msg_controllen = control.bytes.size();
    return ::recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  });
  Channel::Received received;
  if (n < 0) {
    if (errno == EAGAIN) return received;
    throw_errno("receive", "channel");
  }
  detail::PassedDescriptors descriptors = detail::take_descriptors(header);
  received.outcome = n == 0 ? Channel::Outcome::closed : Channel::Outcome::message;
  received.size = static_cast<std::size_t>(n);

  Notice notice{};
  if (received.size == sizeof notice) {
    const std::size_t first = std::min(buffer.size(), sizeof notice);
    auto* bytes = std::as_writable_bytes(std::span{&notice, 1}).data();
    std::copy_n(spill.begin(), sizeof notice - first, std::copy_n(buffer.begin(), first, bytes));
  }
  if (notice.mark == kMark && descriptors.lost) throw_errno("receive", "channel", EMFILE);
  if (notice.mark == kMark && descriptors.count == kNoticeDescriptors) {
    read_body(descriptors.kept.back(), notice.size, place);
    received.size = notice.size;
    give_descriptors(descriptors, std::min(notice.descriptor_count, Channel::kMostDescriptors),
                     received);
    return received;
  }
  if (received.size > buffer.size() || (header.msg_flags & MSG_TRUNC) != 0) {
    throw_errno("receive", "channel", EMSGSIZE);
  }
  give_descriptors(descriptors, descriptors.count, received);
  return received;
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
  return send_until(Deadline::now(), bytes, descriptors);
}

Channel::SendResult Channel::send_until(Deadline deadline, std::span<const std::byte> bytes,
                                        std::span<const int> descriptors) {
  if (bytes.empty()) throw Error{"send", "channel", "a message must not be empty"};
  return deliver(deadline, bytes, descriptors);
}

// An empty one, as values may be, goes in a memfd as well: without bytes it would be the end.
Channel::SendResult Channel::deliver(Deadline deadline, std::span<const std::byte> bytes,
                                     std::span<const int> descriptors) {
  if (descriptors.size() > kMostDescriptors) {
    throw Error{"send", "channel", "too many descriptors for one message"};
  }
  std::optional<LargeMessage> large;
  if (bytes.empty() || bytes.size() > kMostInline) large.emplace(bytes, descriptors);
  for (;;) {
    const int error = large ? large->send_now(fd()) : send_now(fd(), bytes, descriptors);
    if (error == EMSGSIZE && !large) {
      large.emplace(bytes, descriptors);
      continue;
    }
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
  return receive_now(fd(), buffer, [buffer](std::size_t size) {
    if (size > buffer.size()) throw_errno("receive", "channel", EMSGSIZE);
    return buffer.first(size);
  });
}

Channel::Received Channel::receive_until(Deadline deadline, std::span<std::byte> buffer) {
  for (;;) {
    Received received = try_receive(buffer);
    if (received.outcome != Outcome::empty) return received;
    if (wait_ready(fd(), POLLIN, deadline) == 0) return received;
  }
}

Channel::Received Channel::receive_until(Deadline deadline, std::vector<std::byte>& message) {
  std::array<std::byte, kMostInline> buffer;  // NOLINT(*-member-init): filled by the kernel
  for (;;) {
    bool placed = false;
    Received received = receive_now(fd(), buffer, [&](std::size_t size) {
      placed = true;
      message.resize(size);
      return std::span{message};
    });
    if (!placed) message.assign(buffer.begin(), buffer.begin() + received.size);
    if (received.outcome != Outcome::empty) return received;
    if (wait_ready(fd(), POLLIN, deadline) == 0) return received;
  }
}

bool Channel::ready() const {
  return wait_ready(fd(), POLLIN, Deadline::now()) != 0;
}

ChannelPair make_channel() {
  std::array<int, 2> sides{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sides.data()) < 0) {
    throw_errno("socketpair");
  }
  return {.left = Channel{UniqueFd{sides[0]}}, .right = Channel{UniqueFd{sides[1]}}};
}

PeerCredentials peer_credentials(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
    throw_errno("getsockopt", "SO_PEERCRED");
  }
  return {.pid = peer.pid, .uid = peer.uid, .gid = peer.gid};
}

}  // namespace procpool::ipc
