// One thing measured beside another: in turns, in one run.
//
//   constexpr Contest kContests[] = {{"fork", "fork and wait", "bare fork(2)", &ours, &bare,
//                                     Target::times_as_long, 1.15}};
//   int main(int argc, char** argv) { return contest_main("process_bench", kContests, argc, argv);
//   }
//
//   process_bench --list             the names of the contests
//   process_bench --rounds 7 fork    one line: ours, the other's, their ratio and what it should be
//
// A round should be shorter than 0.8 s; it is followed by a pause, so that the real-time throttle
// (sched(7), sched_rt_runtime_us) does not fall into one when this runs under chrt(1).
#pragma once

#include <cstdint>
#include <span>

namespace procpool::bench {

enum class Target : std::uint8_t {
  times_as_fast,  // at least `bound` times as fast as the other
  times_as_long,  // at most `bound` times as long
  at_most,        // at most `bound`, and there is no other
};

struct Contest {
  const char* name;
  const char* title;
  const char* other;
  double (*measure_ours)();   // one round: less is better
  double (*measure_other)();  // nullptr: none
  Target target;
  double bound;
};

// Returns the exit code: 1 if the target was missed, 2 for wrong usage.
int contest_main(const char* program, std::span<const Contest> contests, int argc, char** argv);

}  // namespace procpool::bench
