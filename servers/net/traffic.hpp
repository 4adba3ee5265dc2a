// How much has been received: counted by those who read, and seen by those who look.
//
//   Traffic traffic;
//   Stream stream{loop, std::move(socket), &traffic};
//   traffic.bytes.load();                                 // at any time, from any thread
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace procpool::net {

// Plain counters, which may lie in shared memory: for all threads and processes. What is killed
// while it counts leaves them one behind.
struct Traffic {
  std::atomic<std::uint64_t> messages{0};  // pieces that were read at once; datagrams
  std::atomic<std::uint64_t> bytes{0};

  void count(std::size_t size) noexcept {
    messages.fetch_add(1, std::memory_order_relaxed);
    bytes.fetch_add(size, std::memory_order_relaxed);
  }
};

}  // namespace procpool::net
