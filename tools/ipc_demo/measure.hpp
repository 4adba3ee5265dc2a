// How fast something is, between real processes.
//
//   struct Link { explicit Link(std::size_t size); void send(span); void receive(span); };
//   double ns = one_way<Link>(64, 200ms);       // nanoseconds a message
#pragma once

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "ipc/shared.hpp"
#include "proc/process.hpp"

namespace procpool::demo {

using Clock = std::chrono::steady_clock;

// How long one measurement takes that a scenario makes.
inline constexpr std::chrono::milliseconds kBenchTime{250};

struct Measurement {
  std::string what;
  double nanoseconds;  // each
};

// One way between two processes: made before they part, and of one message size.
template <typename T>
concept Link = std::constructible_from<T, std::size_t> &&
               requires(T link, std::span<const std::byte> message, std::span<std::byte> buffer) {
                 link.send(message);
                 link.receive(buffer);
               };

inline double ns_each(Clock::duration time, std::size_t count) {
  return std::chrono::duration<double, std::nano>{time}.count() / static_cast<double>(count);
}

// A call after the other for `time`, in this process.
template <std::invocable Call>
double ns_a_call(Call call, Clock::duration time = kBenchTime) {
  constexpr std::size_t kCallsALook = 64;  // at the clock
  std::size_t calls = 0;
  const auto start = Clock::now();
  auto now = start;
  for (; now - start < time; now = Clock::now()) {
    for (std::size_t i = 0; i < kCallsALook; ++i) call();
    calls += kCallsALook;
  }
  return ns_each(now - start, calls);
}

// `count` processes do the same at once for `time`: the time a call took, over all of them.
template <std::invocable Call>
double ns_a_call_of(unsigned count, Call call, Clock::duration time = kBenchTime) {
  ipc::Shared<std::atomic<double>> calls_a_ns;
  std::vector<proc::Process> processes;
  processes.reserve(count);
  for (unsigned i = 0; i < count; ++i) {
    processes.push_back(proc::Process::fork(
        [&] {
          calls_a_ns->fetch_add(1 / ns_a_call(call, time));
          return 0;
        },
        {.name = "caller", .die_with_parent = true}));
  }
  for (auto& process : processes) process.wait();
  return 1 / *calls_a_ns;
}

// Two processes, each of which does its part in turn: the time of both parts.
template <std::invocable Mine, std::invocable Theirs>
double ns_a_turn(Mine mine, Theirs theirs, Clock::duration time = kBenchTime) {
  auto other = proc::Process::fork(
      [&] {
        for (;;) theirs();
        return 0;
      },
      {.name = "other", .die_with_parent = true});
  mine();  // it runs now
  return ns_a_call(mine, time);
}

// Messages of `size` bytes, 1 or more, sent by this process and received by another as fast as both
// can; what is received counts.
template <Link L>
double one_way(std::size_t size, Clock::duration time = kBenchTime) {
  constexpr std::byte kLast{1};
  constexpr std::size_t kBytesALook = 65536;  // at the clock
  const std::size_t messages_a_look = size < kBytesALook ? 64 : 1;
  L link{size};
  struct Arrivals {
    std::atomic<std::size_t> count = 0;
    std::atomic<Clock::rep> ended_at = 0;
  };
  ipc::Shared<Arrivals> arrivals;
  auto receiver = proc::Process::fork(
      [&] {
        std::vector<std::byte> buffer(size);
        std::size_t count = 0;
        for (; buffer.front() != kLast; ++count) link.receive(buffer);
        arrivals->count = count;
        arrivals->ended_at = Clock::now().time_since_epoch().count();
        return 0;
      },
      {.name = "receiver", .die_with_parent = true});
  std::vector<std::byte> message(size);
  const auto start = Clock::now();
  while (Clock::now() - start < time) {
    for (std::size_t i = 0; i < messages_a_look; ++i) link.send(message);
  }
  message.front() = kLast;
  link.send(message);
  receiver.wait();
  return ns_each(Clock::duration{arrivals->ended_at} - start.time_since_epoch(), arrivals->count);
}

// A message there and one back.
template <Link L>
double round_trip(std::size_t size, Clock::duration time = kBenchTime) {
  L there{size};
  L back{size};
  std::vector<std::byte> message(size);
  return ns_a_turn(
      [&] {
        there.send(message);
        back.receive(message);
      },
      [&] {
        there.receive(message);
        back.send(message);
      },
      time);
}

}  // namespace procpool::demo
