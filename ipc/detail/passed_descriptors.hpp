// Descriptors that travel with a message between Unix sockets: SCM_RIGHTS, unix(7).
//
//   put_descriptors(header, control, descriptors);           // before sendmsg(2)
//   PassedDescriptors came = take_descriptors(header);       // after recvmsg(2)
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <span>

#include "ipc/base/unique_fd.hpp"

namespace procpool::ipc::detail {

inline constexpr std::size_t kMostPassed = 9;  // in one message

// Room for kMostPassed. CMSG_SPACE rounds up, so one more may fit, and the receiver counts.
struct ControlBuffer {
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int) * kMostPassed)> bytes;
};

// At most kMostPassed. Both arguments must last as long as the header.
void put_descriptors(msghdr& header, ControlBuffer& control, std::span<const int> descriptors);

// What came with a message. Its owner is there before anything can fail.
struct PassedDescriptors {
  std::array<UniqueFd, kMostPassed> kept;
  std::size_t count = 0;  // of all that came, those that are closed again included
  bool lost = false;      // by the kernel
};

PassedDescriptors take_descriptors(msghdr& header);

}  // namespace procpool::ipc::detail
