// Names of hosts and services, and the addresses that they stand for.
//
//   for (const Address& address : resolve("localhost", "http")) try_to_connect(address);
//   const Names names = names_of(client);                    // host and service, backwards
#pragma once

#include <sys/socket.h>

#include <string>
#include <vector>

#include "servers/net/address.hpp"

namespace procpool::net {

struct ResolveOptions {
  int family = AF_UNSPEC;  // AF_INET, AF_INET6: only such
  int type = SOCK_STREAM;  // SOCK_DGRAM: the services of UDP
  bool passive = false;    // an empty host: every address of this machine, to listen at
  bool numeric = false;    // the host is an address already: nobody is asked
};

// The addresses, the best first (RFC 6724), at least one. The service is a name of services(5) or a
// number; an empty host is this machine. Blocks, for as long as the name servers take: not for an
// event loop. getaddrinfo(3). Throws Error naming what was asked, with getaddrinfo's reason.
std::vector<Address> resolve(const std::string& host, const std::string& service,
                             const ResolveOptions& options = {});

struct Names {
  std::string host;
  std::string service;
};

// The names that an address goes by, and the numbers where it has none; with `numeric` always
// these. Blocks as resolve() does. getnameinfo(3). Throws Error; for Unix addresses too.
Names names_of(const Address& address, const ResolveOptions& options = {});

}  // namespace procpool::net
