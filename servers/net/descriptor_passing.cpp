#include "servers/net/descriptor_passing.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <iterator>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/detail/passed_descriptors.hpp"

namespace procpool::net {
namespace {

bool is_misuse(int error) noexcept {
  return error == EBADF || error == ENOTSOCK || error == EINVAL || error == EOPNOTSUPP;
}

}  // namespace

IoResult send_descriptors(int socket, std::string_view bytes, std::span<const int> descriptors) {
  if (bytes.empty()) throw Error{"send", "descriptors", "they go with a byte, at least"};
  if (descriptors.size() > kMostDescriptorsAtOnce) throw Error{"send", "descriptors", "too many"};
  iovec data{.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  ipc::detail::ControlBuffer control{};
  ipc::detail::put_descriptors(header, control, descriptors);
  const ssize_t n =
      retry_eintr([&] { return ::sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL); });
  if (n >= 0) return {.bytes = static_cast<std::size_t>(n)};
  if (is_misuse(errno)) throw_errno("send", "descriptors");
  return {.error = errno};
}

DescriptorMessage receive_descriptors(int socket, std::span<char> buffer) {
  iovec data{.iov_base = buffer.data(), .iov_len = buffer.size()};
  ipc::detail::ControlBuffer control{};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control.bytes.data();
  header.msg_controllen = control.bytes.size();
  DescriptorMessage message;
  const ssize_t n =
      retry_eintr([&] { return ::recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC); });
  if (n < 0) {
    if (is_misuse(errno)) throw_errno("receive", "descriptors");
    message.error = errno;
    return message;
  }
  message.bytes = static_cast<std::size_t>(n);
  auto came = ipc::detail::take_descriptors(header);
  const std::size_t kept = std::min(came.count, kMostDescriptorsAtOnce);
  message.descriptors_lost = came.lost || came.count > kept;
  message.descriptors.reserve(kept);
  std::move(came.kept.begin(), came.kept.begin() + static_cast<std::ptrdiff_t>(kept),
            std::back_inserter(message.descriptors));
  return message;
}

}  // namespace procpool::net
