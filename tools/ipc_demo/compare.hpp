// All ways of a message from one process to another, beside each other.
//
//   std::cout << table_of(compare(10s));
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/ipc_demo/measure.hpp"

namespace procpool::demo {

inline constexpr std::array<std::size_t, 7> kSizes{64,        256,       1024,       4 * 1024,
                                                   16 * 1024, 64 * 1024, 1024 * 1024};

struct Comparison {
  std::string_view name;
  bool ours;
  std::size_t family;                                        // what it stands beside has the same
  std::array<std::optional<double>, kSizes.size()> ns_each;  // one way; nullopt: it cannot
  double ns_round_trip;                                      // of 64 bytes
};

// Measures everything three times in about `time`, and keeps the best; tells of each mechanism
// before it is measured.
std::vector<Comparison> compare(Clock::duration time,
                                const std::function<void(std::string_view)>& tell);

std::string table_of(const std::vector<Comparison>& rows);

// A chart for a page, light or dark: throughput by size, and round trips.
std::string svg_of(const std::vector<Comparison>& rows);

}  // namespace procpool::demo
