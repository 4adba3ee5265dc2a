// Addresses on the command line: a wrong one is wrong usage.
//
//   const net::Address address = address_of("--listen", "127.0.0.1:7000");
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include "ipc/base/error.hpp"
#include "servers/net/address.hpp"

namespace procpool::server_demo {

inline net::Address address_of(const std::string& option, const std::string& text) {
  try {
    return net::Address::parse(text);
  } catch (const Error& error) {
    throw CLI::ValidationError{option, error.what()};
  }
}

}  // namespace procpool::server_demo
