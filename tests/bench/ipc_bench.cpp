// What ipc costs, beside what it is measured by, on two processors; contest.hpp says how to run it.
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/interprocess/ipc/message_queue.hpp>

#include "ipc/base/error.hpp"
#include "ipc/base/futex.hpp"
#include "ipc/mutex.hpp"
#include "ipc/pipe.hpp"
#include "ipc/queue.hpp"
#include "ipc/shared.hpp"
#include "tests/bench/contest.hpp"

namespace procpool::ipc {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Nanoseconds = double;
using bench::Contest;
using bench::Target;

template <std::size_t Size>
struct Bytes {
  std::array<char, Size> bytes;
};
using Small = Bytes<64>;
using Large = Bytes<(1U << 20U)>;

// ---- Processes

using Part = std::function<void()>;

void pin_to_processor(std::size_t index) {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) < 0) throw_errno("sched_getaffinity");
  std::vector<int> processors;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &allowed)) processors.push_back(i);
  }
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(processors[index % processors.size()], &one);
  if (::sched_setaffinity(0, sizeof one, &one) < 0) throw_errno("sched_setaffinity");
}

// Runs each part in a process of its own; returns the time from their common start to the last
// one's end. Two have a processor each, more are left to the scheduler.
Nanoseconds time_of(const std::vector<Part>& parts) {
  const Shared<std::array<Clock::rep, 16>> ends;
  auto [gate, opener] = make_pipe();
  std::vector<pid_t> children;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const pid_t child = ::fork();
    if (child < 0) throw_errno("fork");
    if (child == 0) {
      opener.close();
      if (parts.size() <= 2) pin_to_processor(i);
      std::array<std::byte, 1> nothing;
      gate.read_some(nothing);  // until its end
      parts[i]();
      (*ends)[i] = Clock::now().time_since_epoch().count();
      ::_exit(EXIT_SUCCESS);
    }
    children.push_back(child);
  }
  const Clock::rep start = Clock::now().time_since_epoch().count();
  opener.close();
  for (const pid_t child : children) {
    int status = 0;
    if (::waitpid(child, &status, 0) < 0) throw_errno("waitpid");
    if (status != 0) throw Error{"measure", "child", "it failed"};
  }
  return static_cast<Nanoseconds>(std::ranges::max(*ends) - start);
}

// ---- What ours is measured by

// A ring for one producer and one consumer who never sleep: the floor.
template <typename T, std::size_t Capacity>
struct BareRing {
  alignas(64) std::atomic<std::uint64_t> tail = 0;
  alignas(64) std::atomic<std::uint64_t> head = 0;
  alignas(64) std::array<T, Capacity> cells;

  void push(const T& message) {
    const std::uint64_t at = tail.load(std::memory_order_relaxed);
    while (at - head.load(std::memory_order_acquire) == Capacity) spin_pause();
    std::memcpy(&cells[at % Capacity], &message, sizeof(T));
    tail.store(at + 1, std::memory_order_release);
  }
  void pop(T& message) {
    const std::uint64_t at = head.load(std::memory_order_relaxed);
    while (tail.load(std::memory_order_acquire) == at) spin_pause();
    std::memcpy(&message, &cells[at % Capacity], sizeof(T));
    head.store(at + 1, std::memory_order_release);
  }
};

class BoostQueue {
 public:
  BoostQueue(std::size_t capacity, std::size_t size)
      : name_{"procpool-bench-" + std::to_string(::getpid())},
        queue_{boost::interprocess::create_only, name_.c_str(), capacity, size} {}
  BoostQueue(const BoostQueue&) = delete;
  BoostQueue& operator=(const BoostQueue&) = delete;
  ~BoostQueue() { boost::interprocess::message_queue::remove(name_.c_str()); }

  void push(const Small& message) { queue_.send(&message, sizeof message, 0); }
  void pop(Small& message) {
    boost::interprocess::message_queue::size_type size = 0;
    unsigned priority = 0;
    queue_.receive(&message, sizeof message, size, priority);
  }

 private:
  std::string name_;
  boost::interprocess::message_queue queue_;
};

class RobustPthreadMutex {
 public:
  RobustPthreadMutex() {
    pthread_mutexattr_t attributes;
    ::pthread_mutexattr_init(&attributes);
    ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    ::pthread_mutex_init(&mutex_, &attributes);
    ::pthread_mutexattr_destroy(&attributes);
  }
  void lock() { ::pthread_mutex_lock(&mutex_); }
  void unlock() { ::pthread_mutex_unlock(&mutex_); }

 private:
  pthread_mutex_t mutex_;
};

// ---- The rounds: each returns the time of one operation

constexpr std::size_t kCapacity = 1024;
constexpr auto kOtherWork = 150us;

Small read_from(Queue<Small>& queue) {
  return *queue.pop();
}
template <typename Other>
Small read_from(Other& queue) {
  Small message;
  queue.pop(message);
  return message;
}
template <typename T>
void keep(const T& value) {  // the compiler takes it for used
  asm volatile("" : : "r"(&value) : "memory");
}

template <typename Q>
Nanoseconds time_of_passing(Q& queue, long messages, int pairs) {
  const long share = messages / pairs;
  const Part producer = [&] {
    Small message{};
    for (long i = 0; i < share; ++i) {
      std::memcpy(message.bytes.data(), &i, sizeof i);
      queue.push(message);
    }
  };
  const Part consumer = [&] {
    for (long i = 0; i < share; ++i) keep(read_from(queue));
  };
  std::vector<Part> parts;
  for (int i = 0; i < pairs; ++i) parts.insert(parts.end(), {producer, consumer});
  return time_of(parts) / static_cast<double>(messages);
}

Nanoseconds pass_by_queue(long messages, int pairs) {
  Queue<Small> queue{kCapacity};
  return time_of_passing(queue, messages, pairs);
}
Nanoseconds pass_by_boost(long messages, int pairs) {
  BoostQueue queue{kCapacity, sizeof(Small)};
  return time_of_passing(queue, messages, pairs);
}
Nanoseconds pass_by_bare_ring(long messages) {
  const Shared<BareRing<Small, kCapacity>> ring;
  return time_of_passing(*ring, messages, 1);
}

Nanoseconds pass_by_batches(long messages) {
  constexpr long kBatch = 64;
  Queue<Small> queue{kCapacity};
  return time_of({[&] {
                    std::array<Small, kBatch> batch{};
                    for (long i = 0; i < messages; i += kBatch) queue.push_batch(batch);
                  },
                  [&] {
                    std::array<Small, kBatch> batch;
                    for (long left = messages; left > 0;) {
                      left -= static_cast<long>(queue.pop_batch(batch));
                      keep(batch);
                    }
                  }}) /
         static_cast<double>(messages);
}

template <typename Q>
Nanoseconds time_of_round_trips(Q& there, Q& back, long trips) {
  return time_of({[&] {
                    for (long i = 0; i < trips; ++i) {
                      there.push(Small{});
                      keep(read_from(back));
                    }
                  },
                  [&] {
                    for (long i = 0; i < trips; ++i) back.push(read_from(there));
                  }}) /
         static_cast<double>(trips);
}

Nanoseconds round_trip_by_queue(long trips) {
  Queue<Small> there{16};
  Queue<Small> back{16};
  return time_of_round_trips(there, back, trips);
}
Nanoseconds round_trip_by_bare_ring(long trips) {
  const Shared<BareRing<Small, 16>> there;
  const Shared<BareRing<Small, 16>> back;
  return time_of_round_trips(*there, *back, trips);
}

// Both have other things to do for longer than anybody waits awake, so each finds the other one
// asleep. The time from before the message is sent until it is there, for both ways.
template <typename Send, typename Receive>
Nanoseconds time_of_wakes(long trips, Send send, Receive receive) {
  const Shared<std::atomic<Clock::rep>> sent;
  const Shared<std::array<std::array<Clock::rep, 4096>, 2>> latencies;
  const auto work = [] {
    for (const auto end = Clock::now() + kOtherWork; Clock::now() < end;) spin_pause();
  };
  const auto tell = [&](int to) {
    work();
    *sent = Clock::now().time_since_epoch().count();
    send(to);
  };
  const auto hear = [&](std::size_t from, long trip) {
    receive(static_cast<int>(from));
    (*latencies)[from][static_cast<std::size_t>(trip)] =
        Clock::now().time_since_epoch().count() - *sent;
  };
  time_of({[&] {
             for (long i = 0; i < trips; ++i) {
               tell(0);
               hear(1, i);
             }
           },
           [&] {
             for (long i = 0; i < trips; ++i) {
               hear(0, i);
               tell(1);
             }
           }});
  Nanoseconds both = 0;
  for (auto& one : *latencies) {
    const auto middle = one.begin() + trips / 2;
    std::nth_element(one.begin(), middle, one.begin() + trips);
    both += static_cast<Nanoseconds>(*middle);
  }
  return both;
}

Nanoseconds wake_by_queue(long trips) {
  std::array<Queue<Small>, 2> queues{Queue<Small>{16}, Queue<Small>{16}};
  return time_of_wakes(
      trips, [&](int to) { queues[static_cast<std::size_t>(to)].push(Small{}); },
      [&](int from) { keep(*queues[static_cast<std::size_t>(from)].pop()); });
}
Nanoseconds wake_by_futex(long trips) {
  const Shared<std::array<std::atomic<std::uint32_t>, 2>> words;
  return time_of_wakes(
      trips,
      [&](int to) {
        std::atomic<std::uint32_t>& word = (*words)[static_cast<std::size_t>(to)];
        word.store(1);
        futex_wake(word, 1);
      },
      [&](int from) {
        std::atomic<std::uint32_t>& word = (*words)[static_cast<std::size_t>(from)];
        while (word.load() == 0) futex_wait(word, 0, Deadline::never());
        word.store(0);
      });
}

constexpr std::size_t kFew = 8;  // for messages of 1 MiB, which shall not fill the machine

template <typename T>
Nanoseconds hand_over(long messages) {
  Queue<T> queue{kFew};
  return time_of({[&] {
                    for (long i = 0; i < messages; ++i) queue.loan()->commit();
                  },
                  [&] {
                    for (long i = 0; i < messages; ++i) keep(*queue.borrow());
                  }}) /
         static_cast<double>(messages);
}

template <typename Push, typename Pop>
Nanoseconds time_of_copies(long messages, Push push, Pop pop) {
  return time_of({[&] {
                    const auto message = std::make_unique<Large>();
                    std::ranges::fill(message->bytes, 'x');
                    for (long i = 0; i < messages; ++i) push(*message);
                  },
                  [&] {
                    const auto message = std::make_unique<Large>();
                    for (long i = 0; i < messages; ++i) pop(*message);
                  }}) /
         static_cast<double>(messages);
}
Nanoseconds copy_by_queue(long messages) {
  Queue<Large> queue{kFew};
  return time_of_copies(
      messages, [&](const Large& message) { queue.push_batch({&message, 1}); },
      [&](Large& message) { queue.pop_batch({&message, 1}); });
}
Nanoseconds copy_by_bare_ring(long messages) {
  const Shared<BareRing<Large, kFew>> ring;
  return time_of_copies(
      messages, [&](const Large& message) { ring->push(message); },
      [&](Large& message) { ring->pop(message); });
}

struct Counter {
  alignas(64) long value = 0;
};

template <typename Lock>
Nanoseconds lock_and_unlock(long times, std::size_t processes) {
  const Shared<Lock> lock;
  const Shared<Counter> counter;
  const Part part = [&] {
    for (long i = 0; i < times; ++i) {
      lock->lock();
      ++counter->value;
      lock->unlock();
    }
  };
  const Nanoseconds all = time_of(std::vector<Part>(processes, part));
  return all / static_cast<double>(times) / static_cast<double>(processes);
}

// ---- The contests

constexpr long kMessages = 1'000'000;

constexpr Contest kContests[] = {
    {"1p1c", "64 B, 1 producer, 1 consumer", "boost::message_queue",
     [] { return pass_by_queue(kMessages, 1); }, [] { return pass_by_boost(kMessages / 4, 1); },
     Target::times_as_fast, 4},
    {"4p4c", "64 B, 4 producers, 4 consumers", "boost::message_queue",
     [] { return pass_by_queue(kMessages, 4); }, [] { return pass_by_boost(kMessages / 4, 4); },
     Target::times_as_fast, 4},
    {"one-way", "64 B, one way", "bare spinning ring",
     [] { return pass_by_queue(kMessages * 2, 1); },
     [] { return pass_by_bare_ring(kMessages * 2); }, Target::times_as_long, 1.5},
    {"batch", "64 B, batches of 64", "one by one", [] { return pass_by_batches(kMessages * 4); },
     [] { return pass_by_queue(kMessages, 1); }, Target::times_as_fast, 3},
    {"round-trip", "64 B, there and back, awake", "bare spinning ring",
     [] { return round_trip_by_queue(200'000); }, [] { return round_trip_by_bare_ring(200'000); },
     Target::times_as_long, 1.5},
    {"wakes", "64 B, there and back, both asleep", "two futex wakes",
     [] { return wake_by_queue(1500); }, [] { return wake_by_futex(1500); }, Target::times_as_long,
     1.15},
    {"hand-over", "1 MiB, lent and borrowed", "64 B the same way",
     [] { return hand_over<Large>(kMessages); }, [] { return hand_over<Small>(kMessages); },
     Target::times_as_long, 2},
    {"copy", "1 MiB, copied in and out", "two copies, bare ring",
     [] { return copy_by_queue(1000); }, [] { return copy_by_bare_ring(1000); },
     Target::times_as_fast, 0.8},
    {"mutex", "Mutex, lock and unlock", "robust pthread mutex",
     [] { return lock_and_unlock<Mutex>(5'000'000, 1); },
     [] { return lock_and_unlock<RobustPthreadMutex>(5'000'000, 1); }, Target::times_as_long, 1},
    {"contended", "Mutex, 2 processes at it", "robust pthread mutex",
     [] { return lock_and_unlock<Mutex>(500'000, 2); },
     [] { return lock_and_unlock<RobustPthreadMutex>(500'000, 2); }, Target::times_as_fast, 1},
};

}  // namespace
}  // namespace procpool::ipc

int main(int argc, char** argv) {
  return procpool::bench::contest_main("ipc_bench", procpool::ipc::kContests, argc, argv);
}
