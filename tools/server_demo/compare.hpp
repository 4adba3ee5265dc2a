// All models beside each other.
//
//   const Comparison measured = compare({.models = models, .connections = {1, 10, 100}}, 60s,
//   tell); std::cout << tables_of(measured);
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <vector>

#include "tools/server_demo/compare_cell.hpp"

namespace procpool::server_demo {

struct Progress {
  const Case& next;
  std::size_t done;
  std::size_t of;
  std::chrono::seconds left;
};

// Every case in turn, the fewest connections first, so that all of it takes about `time`: what one
// case leaves the others have. After twice that, on a slow machine, what is left is not measured.
// What the models differ in is measured close in time, so that a busy machine is so to all. Throws
// Error.
Comparison compare(const std::vector<const Model*>& models,
                   const std::vector<unsigned>& connections, std::chrono::nanoseconds time,
                   const std::function<void(const Progress&)>& tell);

}  // namespace procpool::server_demo
