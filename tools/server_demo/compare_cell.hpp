// One measured case: a model, what its clients do, what it does for them, and how many they are.
//
//   if (cell.measured()) print(cell.per_second, cell.latency_99);
//   else print(cell.reason);
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/server_demo/compare_handler.hpp"
#include "tools/server_demo/load.hpp"
#include "tools/server_demo/models.hpp"

namespace procpool::server_demo {

struct Case {
  const Model* model = nullptr;
  Load load = Load::keep_alive;
  Work work = Work::waits;
  unsigned connections = 0;
};

// A value. Figures that need an answer are not there when there was none.
struct Cell : Case {
  std::string reason{};  // why it was not measured; empty: it was

  unsigned served = 0;    // clients that the server had taken when it began
  unsigned asking = 0;    // clients that asked
  unsigned answered = 0;  // of these, who had an answer in time
  unsigned lost = 0;      // connections that the server ended, or refused
  std::uint64_t answers = 0;
  double per_second = 0;
  std::optional<std::chrono::nanoseconds> latency_50{};
  std::optional<std::chrono::nanoseconds> latency_99{};

  // Of the server's whole tree of processes.
  std::optional<std::chrono::nanoseconds> processor_time{};  // user and system, for each answer
  std::optional<double> context_switches{};                  // for each answer
  std::uint64_t memory = 0;  // bytes of all, with its connections; see memory_of_tree()
  unsigned processes = 0;
  unsigned threads = 0;

  bool measured() const noexcept { return reason.empty(); }

  // Some clients got nothing while others were served again and again. (Where each had one answer
  // at most, the time was too short for all of them, and nobody was preferred.)
  bool starves() const noexcept {
    return measured() && (leaves_some_waiting() || (answered < asking && answers >= 2 * answered));
  }

  struct Part {
    unsigned some;
    unsigned all;
  };
  Part content() const noexcept {  // who got something, of how many
    return leaves_some_waiting() ? Part{served, connections} : Part{answered, asking};
  }

  bool leaves_some_waiting() const noexcept {
    return load != Load::short_lived && served < connections;
  }
};

// Where it ran.
struct Machine {
  unsigned cpus = 1;        // of the server
  bool shares_cpu = false;  // with the clients
  unsigned workers = 2;     // made ahead, by models that do so
  double load_average = 0;  // average of the minute before, getloadavg(3)
};

struct Comparison {
  Machine machine{};
  std::vector<const Model*> models{};
  std::vector<unsigned> connections{};  // in rising order
  std::vector<Cell> cells{};

  // Null: there is none.
  const Cell* find(const Case& wanted) const noexcept {
    for (const Cell& cell : cells) {
      if (cell.model == wanted.model && cell.load == wanted.load && cell.work == wanted.work &&
          cell.connections == wanted.connections) {
        return &cell;
      }
    }
    return nullptr;
  }
};

}  // namespace procpool::server_demo
