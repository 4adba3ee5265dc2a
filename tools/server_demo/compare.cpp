#include "tools/server_demo/compare.hpp"

#include <algorithm>
#include <map>
#include <tuple>

#include "ipc/base/deadline.hpp"
#include "tools/server_demo/compare_measure.hpp"

namespace procpool::server_demo {
namespace {

using namespace std::chrono_literals;
using Clock = Deadline::Clock;

constexpr Clock::duration kShortestWindow = 40ms;

// The part of its share that a case may take: many connections, which come last, take more than
// theirs to be brought and looked at.
constexpr double kThrift = 0.6;

std::vector<Case> cases_of(const std::vector<const Model*>& models,
                           const std::vector<unsigned>& connections) {
  std::vector<Case> cases;
  for (const unsigned size : connections) {
    for (const Load load : kLoads) {
      for (const Work work : kWorks) {
        for (const Model* model : models) {
          cases.push_back({.model = model, .load = load, .work = work, .connections = size});
        }
      }
    }
  }
  return cases;
}

// How long a model took beside its windows with so many connections, the last time.
class Overheads {
 public:
  Clock::duration of(const Case& what) const {
    const auto known = known_.find(key_of(what));
    return known == known_.end() ? 30ms : known->second;
  }
  void learn(const Case& what, Clock::duration overhead) { known_[key_of(what)] = overhead; }

 private:
  using Key = std::tuple<const Model*, unsigned, bool>;
  static Key key_of(const Case& what) {
    return {what.model, what.connections, what.load == Load::short_lived};
  }
  std::map<Key, Clock::duration> known_;
};

}  // namespace

Comparison compare(const std::vector<const Model*>& models,
                   const std::vector<unsigned>& connections, std::chrono::nanoseconds time,
                   const std::function<void(const Progress&)>& tell) {
  const Bench bench = Bench::set_up();
  Comparison result{.machine = bench.machine(), .models = models, .connections = connections};
  std::ranges::sort(result.connections);
  const std::vector<Case> cases = cases_of(models, result.connections);
  const Deadline end = Deadline::in(time);
  const Deadline too_late = Deadline::in(2 * time);
  Overheads overheads;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const auto left = end.remaining();
    tell({.next = cases[i],
          .done = i,
          .of = cases.size(),
          .left = std::chrono::duration_cast<std::chrono::seconds>(left)});
    if (too_late.expired()) {
      result.cells.push_back(Cell{cases[i], "there was no time left"});
      continue;
    }
    const auto share = std::chrono::duration_cast<Clock::duration>(
        left * kThrift / static_cast<double>(cases.size() - i));
    const auto window = std::max(kShortestWindow, share - overheads.of(cases[i]));
    const auto start = Clock::now();
    result.cells.push_back(bench.measure(cases[i], window));
    if (result.cells.back().measured()) overheads.learn(cases[i], Clock::now() - start - window);
  }
  return result;
}

}  // namespace procpool::server_demo
