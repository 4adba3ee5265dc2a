// A comparison for a terminal, and for programs.
//
//   std::cout << tables_of(measured);
//   file << json_of(measured);
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "tools/server_demo/compare_cell.hpp"

namespace procpool::server_demo {

std::string tables_of(const Comparison& measured);
std::string json_of(const Comparison& measured);

// Why some cases were not measured, a line for each reason, between these.
std::string not_measured(const Comparison& measured, std::string_view before,
                         std::string_view behind);

// "1 CPU of its own, the clients on another one; 2 workers where there are any"
std::string conditions_of(const Machine& machine);

// "12.3 µs", "4.56 ms"; "-" for none.
std::string time_text(std::optional<std::chrono::nanoseconds> time);
std::string memory_text(double bytes);  // "123 KiB", "4.5 MiB"

// The number of connections that the details are told of: the middle one, or the lower of two.
unsigned typical_connections(const Comparison& measured);

}  // namespace procpool::server_demo
