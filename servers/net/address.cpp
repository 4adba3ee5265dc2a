#include "servers/net/address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <array>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <optional>

#include "ipc/base/error.hpp"

namespace procpool::net {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";

[[noreturn]] void refuse(std::string_view text, std::string_view reason) {
  throw Error{"address", text, reason};
}

std::uint16_t parse_port(std::string_view digits, std::string_view text) {
  std::uint16_t port = 0;
  const auto end = digits.data() + digits.size();
  const auto parsed = std::from_chars(digits.data(), end, port);
  if (digits.empty() || parsed.ec != std::errc{} || parsed.ptr != end) {
    refuse(text, "the port is not a number from 0 to 65535");
  }
  return port;
}

template <typename Binary>
std::optional<Binary> to_binary(int family, const std::string& host) {
  Binary binary;
  if (::inet_pton(family, host.c_str(), &binary) != 1) return std::nullopt;
  return binary;
}

std::string to_presentation(int family, const void* binary) {
  std::array<char, INET6_ADDRSTRLEN> text;
  return ::inet_ntop(family, binary, text.data(), text.size());
}

}  // namespace

Address::Address() noexcept {
  std::memset(&storage_, 0, sizeof storage_);
}

Address Address::parse(std::string_view text) {
  Address address;
  if (text.starts_with(kUnixPrefix)) {
    const auto path = text.substr(kUnixPrefix.size());
    auto& local = address.storage_.local;
    if (path.empty()) refuse(text, "the path is empty");
    if (path.size() >= sizeof local.sun_path) refuse(text, "the path is longer than 107 bytes");
    local.sun_family = AF_UNIX;
    path.copy(local.sun_path, path.size());
    address.size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    return address;
  }

  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) refuse(text, "expected ADDRESS:PORT or unix:PATH");
  const std::uint16_t port = parse_port(text.substr(colon + 1), text);
  std::string host{text.substr(0, colon)};
  if (host == "localhost") host = "127.0.0.1";
  if (host == "*") host = "[::]";

  if (host.starts_with('[') && host.ends_with(']')) {
    const auto binary = to_binary<in6_addr>(AF_INET6, host.substr(1, host.size() - 2));
    if (!binary) refuse(text, "not an IPv6 address");
    auto& inet = reinterpret_cast<sockaddr_in6&>(address.storage_);
    inet.sin6_family = AF_INET6;
    inet.sin6_port = htons(port);
    inet.sin6_addr = *binary;
    address.size_ = sizeof inet;
    return address;
  }
  const auto binary = to_binary<in_addr>(AF_INET, host);
  if (!binary) refuse(text, "expected an IPv4 address, an [IPv6] address or *");
  auto& inet = reinterpret_cast<sockaddr_in&>(address.storage_);
  inet.sin_family = AF_INET;
  inet.sin_port = htons(port);
  inet.sin_addr = *binary;
  address.size_ = sizeof inet;
  return address;
}

Address Address::of(const sockaddr& address, socklen_t size) {
  Address result;
  if (size > sizeof result.storage_) refuse("a socket address", "it is longer than any");
  std::memcpy(&result.storage_, &address, size);
  result.size_ = size;
  return result;
}

Address Address::local_of(int socket) {
  Address address;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address.storage_), &address.size_) < 0) {
    throw_errno("getsockname", "descriptor " + std::to_string(socket));
  }
  return address;
}

Address Address::peer_of(int socket) {
  Address address;
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&address.storage_), &address.size_) < 0) {
    throw_errno("getpeername", "descriptor " + std::to_string(socket));
  }
  return address;
}

std::string Address::path() const {
  if (!is_unix() || size_ <= offsetof(sockaddr_un, sun_path)) return {};
  return storage_.local.sun_path;
}

std::uint16_t Address::port() const {
  switch (family()) {
    case AF_INET:
      return ntohs(reinterpret_cast<const sockaddr_in&>(storage_).sin_port);
    case AF_INET6:
      return ntohs(reinterpret_cast<const sockaddr_in6&>(storage_).sin6_port);
    default:
      return 0;
  }
}

std::string Address::host() const {
  switch (family()) {
    case AF_INET:
      return to_presentation(AF_INET, &reinterpret_cast<const sockaddr_in&>(storage_).sin_addr);
    case AF_INET6: {
      const in6_addr& binary = reinterpret_cast<const sockaddr_in6&>(storage_).sin6_addr;
      constexpr std::size_t kMappedPrefix = 12;  // ::ffff:0:0/96, RFC 4291 section 2.5.5.2
      if (IN6_IS_ADDR_V4MAPPED(&binary))
        return to_presentation(AF_INET, binary.s6_addr + kMappedPrefix);
      return to_presentation(AF_INET6, &binary);
    }
    default:
      return "unix";
  }
}

std::string Address::text() const {
  if (is_unix()) return std::string{kUnixPrefix} + path();
  const std::string port_text = std::to_string(port());
  if (family() == AF_INET) return host() + ":" + port_text;
  const auto& inet = reinterpret_cast<const sockaddr_in6&>(storage_);
  return "[" + to_presentation(AF_INET6, &inet.sin6_addr) + "]:" + port_text;
}

}  // namespace procpool::net
