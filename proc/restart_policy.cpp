#include "proc/restart_policy.hpp"

#include <algorithm>

namespace procpool::proc {
namespace {

using std::chrono::milliseconds;
using Lives = std::span<const milliseconds>;

Lives latest_series(Lives lives, milliseconds stable_after) {
  const auto stable = std::find_if(lives.rbegin(), lives.rend(),
                                   [&](milliseconds life) { return life >= stable_after; });
  return lives.last(static_cast<std::size_t>(stable - lives.rbegin()));
}

// One restart more would make at_most + 1, if it follows right after the latest life.
bool too_intense(const RestartPolicy::Intensity& intensity, Lives series) {
  const auto at_most = static_cast<std::size_t>(std::max(intensity.at_most, 0));
  if (series.size() <= at_most) return false;
  milliseconds left = intensity.within;
  for (const milliseconds life : series.last(at_most)) {
    if (life > left) return false;
    left -= life;
  }
  return true;
}

std::size_t doublings_to(milliseconds first, milliseconds longest) {
  std::size_t doublings = 0;
  for (milliseconds delay = std::max(first, milliseconds{1}); delay < longest; ++doublings) {
    if (delay > longest / 2) return doublings + 1;
    delay *= 2;
  }
  return doublings;
}

milliseconds back_off(milliseconds first, milliseconds longest, std::size_t doublings) {
  milliseconds delay = std::min(first, longest);
  for (; doublings > 0 && delay > milliseconds{0} && delay < longest; --doublings) {
    delay = delay > longest / 2 ? longest : delay * 2;
  }
  return delay;
}

}  // namespace

std::optional<milliseconds> RestartPolicy::delay_after(Lives lives) const noexcept {
  const Lives series = latest_series(lives, stable_after);
  if (intensity && too_intense(*intensity, series)) return std::nullopt;
  if (series.size() <= 1) return milliseconds{0};
  return back_off(first_delay, longest_delay, series.size() - 2);
}

std::size_t RestartPolicy::memory() const noexcept {
  const std::size_t restarts =
      intensity ? static_cast<std::size_t>(std::max(intensity->at_most, 0)) : 0;
  return std::max(restarts + 1, doublings_to(first_delay, longest_delay) + 2);
}

}  // namespace procpool::proc
