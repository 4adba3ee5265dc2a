#include "tests/bench/contest.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string_view>
#include <thread>
#include <vector>

namespace procpool::bench {
namespace {

using namespace std::chrono_literals;

double measure(double (*round)()) {
  const double result = round();
  std::this_thread::sleep_for(300ms);
  return result;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

bool hold_alone(const Contest& contest, int rounds) {
  std::vector<double> figures;
  figures.reserve(static_cast<std::size_t>(rounds));
  for (int i = 0; i < rounds; ++i) figures.push_back(measure(contest.measure_ours));
  const double figure = median(figures);
  const bool met = figure <= contest.bound;
  std::printf("%-36s%-24s%11.1f%11s%9s  <= %-6.2f%s\n", contest.title, contest.other, figure, "",
              "", contest.bound, met ? "met" : "MISSED");
  return met;
}

bool hold(const Contest& contest, int rounds) {
  if (contest.target == Target::at_most) return hold_alone(contest, rounds);
  std::vector<double> ours;
  std::vector<double> others;
  std::vector<double> ratios;  // of neighbours in time
  const bool faster = contest.target == Target::times_as_fast;
  for (int i = 0; i < rounds; ++i) {
    ours.push_back(measure(contest.measure_ours));
    others.push_back(measure(contest.measure_other));
    ratios.push_back(faster ? others.back() / ours.back() : ours.back() / others.back());
  }
  const double ratio = median(ratios);
  const bool met = faster ? ratio >= contest.bound : ratio <= contest.bound;
  std::printf("%-36s%-24s%11.1f%11.1f%9.2f  %s %-6.2f%s\n", contest.title, contest.other,
              median(ours), median(others), ratio, faster ? ">=" : "<=", contest.bound,
              met ? "met" : "MISSED");
  return met;
}

int run(const char* program, std::span<const Contest> contests,
        std::span<const std::string_view> arguments) {
  if (arguments.size() == 1 && arguments[0] == "--list") {
    for (const Contest& contest : contests) std::puts(contest.name);
    return EXIT_SUCCESS;
  }
  if (arguments.size() == 3 && arguments[0] == "--rounds") {
    const int rounds = std::atoi(arguments[1].data());
    const auto contest = std::ranges::find(
        contests, arguments[2], [](const Contest& one) { return std::string_view{one.name}; });
    if (contest != contests.end() && rounds > 0) {
      return hold(*contest, rounds) ? EXIT_SUCCESS : EXIT_FAILURE;
    }
  }
  std::fprintf(stderr, "usage: %s --list | --rounds N NAME\n", program);
  return 2;
}

}  // namespace

int contest_main(const char* program, std::span<const Contest> contests, int argc, char** argv) {
  try {
    return run(program, contests, std::vector<std::string_view>{argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", program, error.what());
    return EXIT_FAILURE;
  }
}

}  // namespace procpool::bench
