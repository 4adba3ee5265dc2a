// What the servers of server-demo speak. Each protocol is written once, as a ByteHandler.
//
//   models::EventLoop{listener}.run(bytes_of(Protocol::lines));
//   models::Coroutines{listener}.run(models::over_stream(bytes_of(Protocol::lines), 60s));
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "servers/models/protocol.hpp"

namespace procpool::server_demo {

enum class Protocol : std::uint8_t {
  echo,   // what comes is sent back
  http,   // GET has a small answer, always the same, and the connection stays; no other method
  lines,  // a line comes, and goes back in upper case (ASCII)
};

inline constexpr std::array kProtocols{Protocol::echo, Protocol::http, Protocol::lines};

constexpr std::string_view name_of(Protocol protocol) noexcept {
  constexpr std::array<std::string_view, kProtocols.size()> kNames{"echo", "http", "lines"};
  return kNames[static_cast<std::size_t>(protocol)];
}
std::optional<Protocol> protocol_named(std::string_view name) noexcept;

// A line or a request head that is longer than 64 KiB ends its connection.
models::MakeByteHandler bytes_of(Protocol protocol);

// The datagram's text comes back.
std::optional<std::string> echo_datagram(std::string_view in, const net::Address& from);

}  // namespace procpool::server_demo
