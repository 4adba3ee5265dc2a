#include "servers/models/detail/worker_scaling.hpp"

#include <algorithm>
#include <cmath>

namespace procpool::models::detail {

int WorkerScaling::step(ScalingSample sample, ScalingLimits limits) {
  const auto [workers, load] = sample;
  const double work = workers * load;
  const bool calm = workers > limits.least && work <= kEnough * (workers - 1);
  calm_steps_ = calm ? calm_steps_ + 1 : 0;

  if (workers < limits.least) return static_cast<int>(limits.least - workers);
  if (workers > limits.most) return -1;
  if (load >= kTooMuch) {
    const auto wanted = static_cast<unsigned>(std::ceil(work / kEnough));
    return static_cast<int>(std::min({wanted, 2 * workers, limits.most}) - workers);
  }
  if (calm_steps_ < kCalmSteps) return 0;
  calm_steps_ = 0;
  return -1;
}

}  // namespace procpool::models::detail
