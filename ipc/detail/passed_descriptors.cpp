#include "ipc/detail/passed_descriptors.hpp"

#include <cstring>
#include <utility>

namespace procpool::ipc::detail {

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

PassedDescriptors take_descriptors(msghdr& header) {
  PassedDescriptors descriptors;
  descriptors.lost = (header.msg_flags & MSG_CTRUNC) != 0;
  for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int descriptor = -1;
      std::memcpy(&descriptor, CMSG_DATA(item) + i * sizeof(int), sizeof(int));
      UniqueFd owner{descriptor};
      if (descriptors.count < kMostPassed) {
        descriptors.kept[descriptors.count] = std::move(owner);
      }
      ++descriptors.count;
    }
  }
  return descriptors;
}

}  // namespace procpool::ipc::detail
