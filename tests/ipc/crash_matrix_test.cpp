// What happens to the others when a process is killed: the table of the README, made anew by doing
// it, to ours and to what people use otherwise. PROCPOOL_UPDATE_README=1 writes it there.
#include <mqueue.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <thread>

#include <boost/interprocess/ipc/message_queue.hpp>
#include <boost/interprocess/managed_shared_memory.hpp>
#include <boost/interprocess/sync/interprocess_condition.hpp>
#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <boost/interprocess/sync/scoped_lock.hpp>
#include <gtest/gtest.h>

#include "ipc/base/io.hpp"
#include "ipc/condition.hpp"
#include "ipc/message_queue.hpp"
#include "ipc/mutex.hpp"
#include "ipc/queue.hpp"
#include "ipc/shared.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/shared_name.hpp"
#include "tests/support/single_step.hpp"

namespace procpool::ipc {
namespace {

using namespace std::chrono_literals;
namespace bi = boost::interprocess;
using test::eventually;
using test::Forked;
using test::Gate;

using Action = std::function<void()>;
using Survivors = std::function<void(std::atomic<long>& progress)>;

constexpr const char* kGoesOn = "go on";
constexpr const char* kHangs = "**hang**";

// Whoever makes no progress for so long is stuck. Only those who are wait so long.
constexpr auto kLongEnough = 2s;

// The others, after somebody was killed.
const char* fate_of(const Survivors& survivors) {
  Gate done;
  const Shared<std::atomic<long>> progress;
  const Forked others{[&] {
    survivors(*progress);
    done.open();
  }};
  for (long before = -1; before != *progress;) {
    before = *progress;
    const auto changed = [&] { return done.is_open() || others.ended() || *progress != before; };
    if (!eventually(changed, Deadline::in(kLongEnough))) return kHangs;
    if (done.is_open()) return kGoesOn;
    if (others.ended()) return kHangs;
  }
  return kHangs;
}

void kill_asleep_in(const Action& wait) {
  Forked victim{wait};
  ASSERT_TRUE(eventually([&] { return test::is_asleep(victim.pid()); }));
  victim.kill(SIGKILL);
  victim.wait();
}

// The worst of all fates after a kill at each so many instructions.
const char* fate_at_any_instruction(const Action& prepare, const Action& operation,
                                    const Survivors& survivors, std::size_t stride) {
  const char* worst = kGoesOn;
  prepare();
  operation();  // once, for the dynamic linker
  prepare();
  test::kill_at_every_instruction(
      operation,
      [&](std::size_t) {
        if (worst == kGoesOn) worst = fate_of(survivors);
        prepare();
      },
      stride);
  return worst;
}

template <typename AnyMutex>
const char* fate_of_those_who_lock_after_a_dead_owner() {
  const Shared<AnyMutex> mutex;
  Gate locked;
  Forked victim{[&] {
    mutex->lock();
    locked.open();
    ::pause();
  }};
  locked.wait();
  victim.kill(SIGKILL);
  victim.wait();
  return fate_of([&](auto&) { mutex->lock(); });
}

struct RobustMutex {
  RobustMutex() {
    pthread_mutexattr_t attributes;
    ::pthread_mutexattr_init(&attributes);
    ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    ::pthread_mutex_init(&mutex, &attributes);
    ::pthread_mutexattr_destroy(&attributes);
  }
  void lock() {
    if (::pthread_mutex_lock(&mutex) == EOWNERDEAD) ::pthread_mutex_consistent(&mutex);
  }
  void unlock() { ::pthread_mutex_unlock(&mutex); }
  pthread_mutex_t mutex;
};

struct OurFlag {
  Mutex mutex;
  Condition changed;
  void wait() {
    std::unique_lock lock{mutex};
    changed.wait(lock, [] { return false; });
  }
  void notify() { changed.notify_one(); }
};
struct PosixFlag : RobustMutex {
  PosixFlag() {
    pthread_condattr_t attributes;
    ::pthread_condattr_init(&attributes);
    ::pthread_condattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    ::pthread_cond_init(&changed, &attributes);
    ::pthread_condattr_destroy(&attributes);
  }
  void wait() {
    lock();
    for (;;) ::pthread_cond_wait(&changed, &mutex);
  }
  void notify() { ::pthread_cond_signal(&changed); }
  pthread_cond_t changed;
};
struct BoostFlag {
  bi::interprocess_mutex mutex;
  bi::interprocess_condition changed;
  void wait() {
    bi::scoped_lock<bi::interprocess_mutex> lock{mutex};
    for (;;) changed.wait(lock);
  }
  void notify() { changed.notify_one(); }
};

// Placed in shared memory by hand: Boost's have destructors, which Shared<T> refuses.
template <typename T>
struct Placed {
  alignas(T) std::array<std::byte, sizeof(T)> bytes{};
  Placed() { new (bytes.data()) T; }
  T* operator->() { return std::launder(reinterpret_cast<T*>(bytes.data())); }
  void lock() { (*this)->lock(); }
};

template <typename Flag>
const char* fate_of_the_notifier_after_a_dead_waiter() {
  const Shared<Placed<Flag>> flag;
  const Action wait = [&] { (*flag)->wait(); };
  kill_asleep_in(wait);
  std::list<Forked> waiters;
  for (int i = 0; i < 3; ++i) {
    const Forked& waiter = waiters.emplace_back(wait);
    EXPECT_TRUE(eventually([&] { return test::is_asleep(waiter.pid()); }));
  }
  return fate_of([&](auto& progress) {
    for (int i = 0; i < 1000; ++i) {
      ++progress;
      (*flag)->notify();
      std::this_thread::yield();  // who was woken waits again meanwhile
    }
  });
}

constexpr std::size_t kCapacity = 3;
constexpr int kMessages = 20;

// Each queue with the same five functions.
struct OurQueue {
  std::optional<Queue<int>> queue;
  void renew() { queue.emplace(kCapacity); }
  void send() { queue->push(1); }
  void receive() { queue->pop(); }
  void end() { queue.reset(); }
};
struct BoostQueue {
  std::string name = test::shared_name("matrix").substr(1);
  std::optional<bi::message_queue> queue;
  void renew() {
    end();
    queue.emplace(bi::create_only, name.c_str(), kCapacity, sizeof(int));
  }
  void send() {
    const int number = 1;
    queue->send(&number, sizeof number, 0);
  }
  void receive() {
    int number = 0;
    std::size_t size = 0;
    unsigned priority = 0;
    queue->receive(&number, sizeof number, size, priority);
  }
  void end() { bi::message_queue::remove(name.c_str()); }
};
struct PosixQueue {
  std::string name = test::shared_name("matrix");
  std::optional<MessageQueue> queue;
  void renew() {
    end();
    queue.emplace(MessageQueue::open(name, {.capacity = kCapacity, .message_size = sizeof(int)}));
  }
  void send() {
    const int number = 1;
    queue->send(std::as_bytes(std::span{&number, 1}));
  }
  void receive() {
    int number = 0;
    queue->receive(std::as_writable_bytes(std::span{&number, 1}));
  }
  void end() { MessageQueue::unlink(name); }
};

template <typename AnyQueue>
void pass_messages(AnyQueue& queue, std::atomic<long>& progress) {
  for (int i = 0; i < kMessages; ++i) {
    ++progress;
    queue.send();
    queue.receive();
  }
}

template <typename AnyQueue>
const char* fate_after_a_dead_producer() {
  AnyQueue queue;
  const char* fate =
      fate_at_any_instruction([&] { queue.renew(); }, [&] { queue.send(); },
                              [&](auto& progress) { pass_messages(queue, progress); }, 7);
  queue.end();
  return fate;
}

template <typename AnyQueue>
const char* fate_after_a_dead_consumer() {
  AnyQueue queue;
  const char* fate = fate_at_any_instruction(
      [&] {
        queue.renew();
        queue.send();
      },
      [&] { queue.receive(); }, [&](auto& progress) { pass_messages(queue, progress); }, 7);
  queue.end();
  return fate;
}

template <typename AnyQueue>
const char* fate_after_a_consumer_killed_in_its_sleep() {
  AnyQueue queue;
  queue.renew();
  const Action receive_for_ever = [&] {
    for (;;) queue.receive();
  };
  kill_asleep_in(receive_for_ever);
  std::list<Forked> consumers;
  for (int i = 0; i < 3; ++i) {
    const Forked& consumer = consumers.emplace_back(receive_for_ever);
    EXPECT_TRUE(eventually([&] { return test::is_asleep(consumer.pid()); }));
  }
  const char* fate = fate_of([&](auto& progress) {
    for (int i = 0; i < 1000; ++i) {
      ++progress;
      queue.send();
      std::this_thread::yield();  // who was woken waits again meanwhile
    }
  });
  queue.end();
  return fate;
}

const char* fate_after_a_dead_creator_of_ours() {
  const std::string name = test::shared_name("matrix");
  const auto open = [&] { auto memory = Shared<long>::open(name); };
  const char* fate = fate_at_any_instruction([] {}, open, [&](auto&) { open(); }, 101);
  open();
  return fate;
}

const char* fate_after_a_dead_creator_of_boosts() {
  const std::string name = test::shared_name("matrix").substr(1);
  const auto open = [&] {
    const bi::managed_shared_memory memory{bi::open_or_create, name.c_str(), 65536};
  };
  const auto remove = [&] { bi::shared_memory_object::remove(name.c_str()); };
  const char* fate = fate_at_any_instruction(remove, open, [&](auto&) { open(); }, 101);
  remove();
  return fate;
}

std::string row(const std::vector<std::string>& cells) {
  std::string text = "|";
  for (const std::string& cell : cells) text.append(" ").append(cell).append(" |");
  return text.append("\n");
}

std::string make_matrix() {
  using BoostMutex = Placed<bi::interprocess_mutex>;
  const std::string none = "-";
  return row({"killed", "procpool", "Boost.Interprocess", "glibc", "POSIX mq"}) +
         row({"---", "---", "---", "---", "---"}) +
         row({"the owner of a lock: those who lock it",
              fate_of_those_who_lock_after_a_dead_owner<Mutex>(),
              fate_of_those_who_lock_after_a_dead_owner<BoostMutex>(),
              fate_of_those_who_lock_after_a_dead_owner<RobustMutex>(), none}) +
         row({"who waits for a condition: those who notify it",
              fate_of_the_notifier_after_a_dead_waiter<OurFlag>(),
              fate_of_the_notifier_after_a_dead_waiter<BoostFlag>(),
              fate_of_the_notifier_after_a_dead_waiter<PosixFlag>(), none}) +
         row({"a producer, at any instruction of a send", fate_after_a_dead_producer<OurQueue>(),
              fate_after_a_dead_producer<BoostQueue>(), none,
              fate_after_a_dead_producer<PosixQueue>()}) +
         row({"a consumer, at any instruction of a receive", fate_after_a_dead_consumer<OurQueue>(),
              fate_after_a_dead_consumer<BoostQueue>(), none,
              fate_after_a_dead_consumer<PosixQueue>()}) +
         row({"a consumer that waits for a message: those who send",
              fate_after_a_consumer_killed_in_its_sleep<OurQueue>(),
              fate_after_a_consumer_killed_in_its_sleep<BoostQueue>(), none,
              fate_after_a_consumer_killed_in_its_sleep<PosixQueue>()}) +
         row({"who makes named memory: those who open it", fate_after_a_dead_creator_of_ours(),
              fate_after_a_dead_creator_of_boosts(), none, none});
}

constexpr std::string_view kBegin = "<!-- crash matrix -->\n";
constexpr std::string_view kEnd = "<!-- end -->\n";

TEST(CrashMatrix, of_the_README_is_what_happens) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  const std::string path = PROCPOOL_README;
  std::string readme = read_file(path);
  const auto begin = readme.find(kBegin);
  const auto end = readme.find(kEnd);
  ASSERT_NE(begin, std::string::npos);
  ASSERT_NE(end, std::string::npos);
  const auto from = begin + kBegin.size();
  const std::string happens = make_matrix();
  if (std::getenv("PROCPOOL_UPDATE_README") != nullptr) {
    std::ofstream{path} << readme.replace(from, end - from, happens);
  } else {
    EXPECT_EQ(readme.substr(from, end - from), happens);
  }
}

}  // namespace
}  // namespace procpool::ipc
