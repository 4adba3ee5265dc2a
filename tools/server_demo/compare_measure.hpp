// Measures one case: starts the server, brings the clients, and looks at what it costs.
//
//   const Bench bench = Bench::set_up();
//   const Cell cell = bench.measure({.model = model, .connections = 100}, 200ms);
#pragma once

#include <chrono>
#include <utility>
#include <vector>

#include "tools/server_demo/compare_cell.hpp"

namespace procpool::server_demo {

// The clients are in this process.
class Bench {
 public:
  // Raises this process's limit of descriptors as far as it may, and keeps it to its first CPU;
  // the servers get the others, if there are any. Throws Error.
  static Bench set_up();

  // The window is that of the answers; to start, to connect, to look and to stop take their time,
  // but none of them for ever. Throws Error: the server could not start.
  Cell measure(const Case& what, std::chrono::nanoseconds window) const;

  const Machine& machine() const noexcept { return machine_; }

 private:
  Bench(Machine machine, std::vector<int> server_cpus)
      : machine_{machine}, server_cpus_{std::move(server_cpus)} {}

  Machine machine_;
  std::vector<int> server_cpus_;
};

}  // namespace procpool::server_demo
