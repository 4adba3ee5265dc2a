#include "tools/log_axis.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace procpool::demo {

double LogAxis::at(double value) const {
  if (most <= least) return (from + to) / 2;
  return from + (to - from) * std::log10(value / least) / std::log10(most / least);
}

std::vector<double> LogAxis::powers_of_ten() const {
  const auto last = static_cast<std::size_t>(std::lround(std::log10(most / least)));
  std::vector<double> powers(last + 1);
  for (std::size_t i = 0; i <= last; ++i) powers[i] = least * std::pow(10, i);
  return powers;
}

LogAxis whole_decades(double least, double most, double from, double to) {
  const double lowest = std::floor(std::log10(least));
  const double highest = std::max(std::ceil(std::log10(most)), lowest + 1);
  return {.least = std::pow(10, lowest), .most = std::pow(10, highest), .from = from, .to = to};
}

}  // namespace procpool::demo
