// What a server has done so far.
//
//   ipc::Shared<Statistics> seen;                       // or a plain one, in this process
//   Coroutines server{std::move(listener), {.statistics = seen.get()}};
//   print(seen->active, seen->messages);                // at any time, from any process
#pragma once

#include <atomic>
#include <cstdint>

#include "servers/net/traffic.hpp"

namespace procpool::models {

// Counters, for all threads and processes; no value must agree with another one.
struct Statistics : net::Traffic {         // what was received
  std::atomic<std::uint64_t> accepted{0};  // connections that were served, or are
  std::atomic<std::uint64_t> active{0};    // of them now; datagrams that are being answered
  std::atomic<std::uint64_t> refused{0};   // for want of descriptors, threads or processes
  std::atomic<std::uint64_t> failed{0};    // whose handler threw or died
};

}  // namespace procpool::models
