// A range of values and where it lies in the picture; both logarithmic.
//
//   const LogAxis y = whole_decades(least, most, bottom, top);
//   picture += dot(x.at(size), y.at(rate));
#pragma once

#include <vector>

namespace procpool::demo {

// A value. Positive values only.
struct LogAxis {
  double least;
  double most;
  double from;  // where the least lies
  double to;

  double at(double value) const;  // in the middle when there is one value only

  std::vector<double> powers_of_ten() const;  // of an axis of whole decades, both ends included
};

// From a power of ten to a higher one, with all values between.
LogAxis whole_decades(double least, double most, double from, double to);

}  // namespace procpool::demo
