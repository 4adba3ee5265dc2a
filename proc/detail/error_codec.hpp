// An Error that travels to another process and is thrown there as what it was.
//
//   channel.send(error);
//   throw *channel.receive<Error>().value;
#pragma once

#include "ipc/base/error.hpp"
#include "ipc/codec.hpp"

template <>
struct procpool::ipc::Codec<procpool::Error> {
  static void encode(const Error& error, std::vector<std::byte>& out);
  static Error decode(std::span<const std::byte> bytes);  // throws Error on rubbish
};
