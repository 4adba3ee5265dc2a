// How many workers a load needs.
//
//   WorkerScaling scaling;
//   const int change = scaling.step({.workers = 2, .load = 0.9}, {.least = 1, .most = 8});
#pragma once

namespace procpool::models::detail {

struct ScalingLimits {
  unsigned least;
  unsigned most;
};

struct ScalingSample {
  unsigned workers;  // that take connections, 1 or more
  double load;       // of one of them on average: the part of the time in which it worked, 0 to 1
};

// More workers at once when there is too little to spare, and up to twice as many; one fewer when
// those that stay could have done all the work with much to spare, and that for a while. Between
// the two it does nothing, so that it does not swing. A value.
class WorkerScaling {
 public:
  static constexpr double kTooMuch = 0.75;
  static constexpr double kEnough = 0.5;  // what is aimed at
  static constexpr unsigned kCalmSteps = 5;

  // To be called at regular intervals. So many workers more, or fewer (-1).
  int step(ScalingSample sample, ScalingLimits limits);

 private:
  unsigned calm_steps_ = 0;
};

}  // namespace procpool::models::detail
