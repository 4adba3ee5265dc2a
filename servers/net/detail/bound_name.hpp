// Binding sockets, and the names in the file system that Unix sockets get by it.
//
//   bind_socket(socket.fd(), address, SOCK_STREAM, "listen");
//   BoundName name{address, BoundName::Owner::this_process};     // removes it in the end
#pragma once

#include <sys/types.h>

#include <string_view>

#include "servers/net/address.hpp"

namespace procpool::net::detail {

// bind(2). The name of a Unix socket that nobody has open any more is replaced. Throws Error naming
// the operation and the address.
void bind_socket(int socket, const Address& address, int type, std::string_view operation);

// The name of one Unix socket, or nothing for other addresses. A value; nothing is removed but by
// remove().
class BoundName {
 public:
  enum class Owner { this_process, somebody_else };
  BoundName(const Address& address, Owner owner);

  void own() noexcept;
  void disown() noexcept;

  // Whether the address still leads to that socket: the name may have been removed or replaced.
  bool is_there(const Address& address) const noexcept;
  void remove(const Address& address) const noexcept;  // if it is there, and this process's

 private:
  pid_t owner_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace procpool::net::detail
