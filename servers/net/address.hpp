// Where a server listens, or who its client is: IPv4, IPv6 or a Unix path.
//
//   auto address = Address::parse("127.0.0.1:8080");   // "[::1]:80", "*:80", "unix:/run/x.sock"
//   address.text();                                    // the same, canonical
//   address.host();                                    // "127.0.0.1": for logs
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace procpool::net {

// A socket address as a value. Names are not resolved ("localhost" is 127.0.0.1): what a server is
// told must not depend on somebody else's answer. Who wants that asks resolve().
class Address {
 public:
  // "A.B.C.D:PORT", "[IPV6]:PORT", "*:PORT" (every IPv6 and IPv4 address of this machine, dual
  // stack), "localhost:PORT", "unix:PATH" (at most 107 bytes). PORT is 0..65535; 0 lets the kernel
  // choose one. Throws Error naming the text and what is wrong with it.
  static Address parse(std::string_view text);

  // As a system call gave it. Throws Error: it is longer than any.
  static Address of(const sockaddr& address, socklen_t size);

  static Address local_of(int socket);  // getsockname(2); throws Error
  static Address peer_of(int socket);   // getpeername(2); throws Error (ENOTCONN: it has left)

  int family() const noexcept { return storage_.generic.ss_family; }  // AF_INET, AF_INET6, AF_UNIX
  bool is_unix() const noexcept { return family() == AF_UNIX; }
  std::string path() const;    // of a Unix address; empty for one without a name
  std::uint16_t port() const;  // 0 for Unix
  std::string host() const;    // without port and brackets; "unix" for Unix; mapped IPv4 as IPv4
  std::string text() const;    // parse(text()) is the same address

  const sockaddr* data() const noexcept { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const noexcept { return size_; }

  friend bool operator==(const Address& left, const Address& right) {
    return left.text() == right.text();
  }

 private:
  Address() noexcept;
  union Storage {
    sockaddr_storage generic;
    sockaddr_un local;
  };
  Storage storage_;
  socklen_t size_ = sizeof(Storage);
};

}  // namespace procpool::net
