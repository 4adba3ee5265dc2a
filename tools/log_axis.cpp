#include "tools/log_axis.hpp"

#include <algorithm>
#include <cmath>

namespace procpool::demo {

double LogAxis::at(double value) const {
  if (most <= least) return (from + to) / 2;
  return from + (to - from) * std::log10(value / least) / std::log10(most / least);
}

LogAxis whole_decades(double least, double most, double from, double to) {
  const double lowest = std::floor(std::log10(least));
  const double highest = std::max(std::ceil(std::log10(most)), lowest + 1);
  return {.least = std::pow(10, lowest), .most = std::pow(10, highest), .from = from, .to = to};
}

}  // namespace procpool::demo
