#include "servers/net/resolve.hpp"

#include <netdb.h>

#include <array>
#include <cerrno>
#include <memory>

#include "ipc/base/error.hpp"

namespace procpool::net {
namespace {

[[noreturn]] void refuse(const std::string& object, int code) {
  if (code == EAI_SYSTEM) throw_errno("resolve", object);
  throw Error{"resolve", object, ::gai_strerror(code)};
}

}  // namespace

std::vector<Address> resolve(const std::string& host, const std::string& service,
                             const ResolveOptions& options) {
  addrinfo hints{};
  hints.ai_family = options.family;
  hints.ai_socktype = options.type;
  hints.ai_flags = (options.passive ? AI_PASSIVE : 0) | (options.numeric ? AI_NUMERICHOST : 0);
  addrinfo* list = nullptr;
  const int code = ::getaddrinfo(host.empty() ? nullptr : host.c_str(),
                                 service.empty() ? nullptr : service.c_str(), &hints, &list);
  if (code != 0) refuse(std::string{host}.append(":").append(service), code);
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner{list, &::freeaddrinfo};
  std::vector<Address> addresses;
  for (const addrinfo* item = list; item != nullptr; item = item->ai_next) {
    addresses.push_back(Address::of(*item->ai_addr, item->ai_addrlen));
  }
  return addresses;
}

Names names_of(const Address& address, const ResolveOptions& options) {
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> service{};
  const int flags = (options.numeric ? NI_NUMERICHOST | NI_NUMERICSERV : 0) |
                    (options.type == SOCK_DGRAM ? NI_DGRAM : 0);
  const int code = ::getnameinfo(address.data(), address.size(), host.data(), host.size(),
                                 service.data(), service.size(), flags);
  if (code != 0) refuse(address.text(), code);
  return {.host = host.data(), .service = service.data()};
}

}  // namespace procpool::net
