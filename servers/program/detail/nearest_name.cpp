#include "servers/program/detail/nearest_name.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace procpool::program {
namespace {

// Insertions, removals, replacements and swaps of neighbours: the optimal string alignment.
std::size_t distance(std::string_view from, std::string_view to) {
  std::vector<std::size_t> before_last(to.size() + 1);
  std::vector<std::size_t> last(to.size() + 1);
  std::vector<std::size_t> row(to.size() + 1);
  for (std::size_t j = 0; j <= to.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= from.size(); ++i) {
    before_last = std::exchange(last, row);
    row[0] = i;
    for (std::size_t j = 1; j <= to.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (from[i - 1] == to[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1])
        row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
  }
  return row[to.size()];
}

}  // namespace

std::string_view nearest_name(std::string_view wrong, const std::vector<std::string_view>& names) {
  std::string_view nearest;
  std::size_t least = std::max<std::size_t>(wrong.size() / 3, 1) + 1;
  for (const std::string_view name : names) {
    const std::size_t its = distance(wrong, name);
    if (its < least) {
      nearest = name;
      least = its;
    }
  }
  return nearest;
}

}  // namespace procpool::program
