// What a Pool costs: the figures that scripts/bench sets beside those of Python's multiprocessing.
//
//   pool_bench                   one line each: name, figure, unit
//   pool_bench round-trip map    some of them
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "proc/pool.hpp"

namespace procpool::proc {
namespace {

using Clock = std::chrono::steady_clock;

int nothing(int n) {
  return n;
}

std::size_t length(const std::string& text) {
  return text.size();
}

// About 10 ms of arithmetic that no compiler can do beforehand.
std::uint64_t spin(std::uint64_t seed) {
  for (int i = 0; i < 5'000'000; ++i) seed = seed * 6364136223846793005U + 1442695040888963407U;
  return seed;
}

double seconds_of(const std::function<void()>& work) {
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<int> numbers(int count) {
  std::vector<int> all(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) all[static_cast<std::size_t>(i)] = i;
  return all;
}

double round_trip() {  // microseconds
  constexpr int kCalls = 20'000;
  Pool pool{2};
  for (int i = 0; i < 1000; ++i) pool.apply(&nothing, i);
  return seconds_of([&] {
           for (int i = 0; i < kCalls; ++i) pool.apply(&nothing, i);
         }) /
         kCalls * 1e6;
}

double map_with(const MapOptions& options) {  // thousands a second
  constexpr int kCalls = 100'000;
  Pool pool{2};
  const std::vector<int> all = numbers(kCalls);
  pool.map(&nothing, all, options).get();
  return kCalls / seconds_of([&] { pool.map(&nothing, all, options).get(); }) / 1e3;
}

double large_argument() {  // MiB a second
  constexpr int kCalls = 200;
  Pool pool{2};
  const std::string argument(1U << 20U, 'x');
  for (int i = 0; i < 10; ++i) pool.apply(&length, argument);
  return kCalls / seconds_of([&] {
           for (int i = 0; i < kCalls; ++i) pool.apply(&length, argument);
         });
}

double scaling() {  // two workers to one
  constexpr std::uint64_t kCalls = 40;
  std::vector<std::uint64_t> seeds(kCalls);
  for (std::uint64_t i = 0; i < kCalls; ++i) seeds[i] = i;
  const auto time_with = [&](int workers) {
    Pool pool{workers};
    pool.map(&spin, seeds, {.chunk = 1}).get();
    return seconds_of([&] { pool.map(&spin, seeds, {.chunk = 1}).get(); });
  };
  return time_with(1) / time_with(2);
}

struct Figure {
  std::string_view name;
  double (*measure)();
  std::string_view unit;
};

constexpr Figure kFigures[] = {
    {"round-trip", &round_trip, "us"},
    {"map-unchunked", [] { return map_with({.chunk = 1}); }, "k/s"},
    {"map", [] { return map_with({}); }, "k/s"},
    {"1-MiB-argument", &large_argument, "MiB/s"},
    {"two-workers-to-one", &scaling, "x"},
};

int run(const std::vector<std::string_view>& names) {
  for (const Figure& figure : kFigures) {
    if (!names.empty() && std::find(names.begin(), names.end(), figure.name) == names.end()) {
      continue;
    }
    std::printf("%-20s %12.3f %s\n", figure.name.data(), figure.measure(), figure.unit.data());
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace procpool::proc

int main(int argc, char** argv) {
  try {
    return procpool::proc::run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pool_bench: %s\n", error.what());
    return 1;
  }
}
