// Which model for what, said from the figures alone.
//
//   for (const Advice& advice : advice_of(measured)) print(advice.need, advice.answer);
#pragma once

#include <string>
#include <vector>

#include "tools/server_demo/compare_cell.hpp"

namespace procpool::server_demo {

struct Advice {
  std::string need;
  std::string answer;
};

// What was not measured is not spoken of.
std::vector<Advice> advice_of(const Comparison& measured);

// What one connection more occupies: from the fewest connections of a model to the most at which
// it served all; keep-alive clients, I/O-bound. Nullopt: it served but one size.
std::optional<double> bytes_a_connection(const Comparison& measured, const Model& model);

}  // namespace procpool::server_demo
