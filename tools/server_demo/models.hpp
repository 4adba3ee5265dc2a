// Every model of a server, as a table.
//
//   const Model* model = model_named("coroutines");
//   return model->serve({.address = net::Address::parse("127.0.0.1:7000"),
//                        .protocol = handlers_of(bytes_of(Protocol::echo))});
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "servers/models/protocol.hpp"
#include "servers/models/statistics.hpp"
#include "servers/net/address.hpp"

namespace procpool::server_demo {

// One protocol in the forms that the models take; see models/protocol.hpp.
struct Handlers {
  models::StreamHandler streams{};
  models::MakeByteHandler bytes{};
  models::DatagramHandler datagrams{};
};
Handlers handlers_of(const models::MakeByteHandler& bytes);

// What a server is to do. What is lent outlives it.
struct Setup {
  net::Address address;
  Handlers protocol{};
  unsigned workers = 2;
  unsigned max_connections = 1000;                           // with workers: in each of them
  std::string log = "-";                                     // "-": standard error
  models::Statistics* datagram_statistics = nullptr;         // lent
  std::function<void(const net::Address&)> on_serving = {};  // with the port that was chosen
};

enum class Form : std::uint8_t { streams, bytes, datagrams };

// What a model is made of; those of one family differ in a detail.
enum class Family : std::uint8_t { alone, threads, processes, call_backs, coroutines, datagrams };

struct Model {
  std::string_view name;
  std::string_view summary;
  Family family;
  Form form;
  int (*serve)(const Setup&);  // until SIGTERM or SIGINT; the exit code. Throws Error
  bool has_workers = false;

  // What it cannot have more connections than, and why; 0: nothing of its own.
  unsigned most_connections = 0;
  std::string_view limit = {};

  // The same as the one before it but for how its workers come by their connections.
  bool is_variant = false;
};

std::span<const Model> all_models();
const Model* model_named(std::string_view name) noexcept;  // null: there is none

std::string_view name_of(Form form) noexcept;

}  // namespace procpool::server_demo
