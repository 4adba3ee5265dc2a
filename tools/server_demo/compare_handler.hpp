// What the measured servers do for a request, defined once for all of them.
//
//   const Handlers handlers = handlers_doing(Work::waits);
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tools/server_demo/models.hpp"

namespace procpool::server_demo {

enum class Work : std::uint8_t {
  waits,    // for kWaiting, as for a disk or a data base. A coroutine awaits it: its loop serves
            // others. A call-back cannot, and sleeps: its loop stands still
  computes  // for kComputing of processor time
};

inline constexpr std::array kWorks{Work::waits, Work::computes};
inline constexpr std::chrono::milliseconds kWaiting{5};
inline constexpr std::chrono::microseconds kComputing{200};

constexpr std::string_view name_of(Work work) noexcept {
  return work == Work::waits ? "I/O-bound" : "CPU-bound";
}

// The protocol `lines`; a piece that begins with kWork is worked on before it is answered.
Handlers handlers_doing(Work work);

// Keeps the processor busy until this thread has used so much time of it.
void compute(std::chrono::nanoseconds processor_time);

}  // namespace procpool::server_demo
