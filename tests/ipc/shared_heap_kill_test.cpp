// Processes that are killed while they use a SharedHeap. What they leave is whole, or says that it
// is not; and nobody waits for them.
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>

#include <gtest/gtest.h>

#include "ipc/shared_heap.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/shared_name.hpp"
#include "tests/support/single_step.hpp"

namespace procpool::ipc {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::exited;
using test::Forked;
using test::kill_at_every_instruction;
using test::killed_by;
using test::SteppedChild;
using test::stride_unless_torture;
using test::Sweep;

using Progress = SteppedChild::Progress;
using Names = heap::map<int, heap::string>;
using Model = std::map<int, std::string>;

constexpr std::size_t kMaximum = 1024 * 1024;
constexpr std::string_view kText = "a text that is too long to lie in the string itself";

Model model_of(int elements) {
  Model model;
  for (int i = 0; i < elements; ++i) model.emplace(2 * i, kText);
  return model;
}

void fill(HeapAccess access, const Model& model) {
  auto& names = access.map<int, heap::string>("names");
  names.clear();
  for (const auto& [key, value] : model) names.emplace(key, value);
}

// Along the tree, and down from its root for each key. A broken one may have no end.
Model contents(const HeapView& view) {
  Model model;
  const auto* names = view.find<Names>("names");
  if (names == nullptr) return model;
  for (const auto& [key, value] : *names) {
    if (names->find(key) == names->end() || model.size() > names->size()) return {};
    model.emplace_hint(model.end(), key, std::string_view{value});
  }
  return model.size() == names->size() ? model : Model{};
}

struct Toll {
  std::size_t instructions = 0;
  int broken = 0;
  int before = 0;
  int after = 0;
};

// Kills an operation after each stride-th instruction. The survivors find what was before it, or
// what is after it, or HeapBroken, again and again; then they go on.
Toll kill_in(const std::function<void(SharedHeap&)>& operation, const Model& before,
             const Model& after, std::size_t stride) {
  Toll toll;
  std::optional<SharedHeap> heap;
  const auto renew = [&] {
    heap.emplace(kMaximum);
    fill(heap->lock(), before);
  };
  renew();
  operation(*heap);  // once, for the dynamic linker
  EXPECT_EQ(contents(heap->view()), after);
  renew();
  toll.instructions =
      kill_at_every_instruction([&] { operation(*heap); },
                                [&](std::size_t i) {
                                  try {
                                    const Model left = contents(heap->view());
                                    EXPECT_TRUE(left == before || left == after) << "step " << i;
                                    ++(left == before ? toll.before : toll.after);
                                    fill(heap->lock(), after);
                                    fill(heap->lock(), before);
                                  } catch (const HeapBroken&) {
                                    ++toll.broken;
                                    EXPECT_THROW(heap->lock(), HeapBroken) << "step " << i;
                                    fill(heap->reset(), before);
                                  }
                                  EXPECT_EQ(contents(heap->view()), before) << "step " << i;
                                  renew();
                                },
                                stride_unless_torture(stride));
  return toll;
}

void insert(HeapAccess& access) {
  access.map<int, heap::string>("names").emplace(7, kText);
}

TEST(SharedHeapKill, at_any_instruction_of_an_insertion_is_told_or_did_no_harm) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  const Model before = model_of(20);
  Model after = before;
  after.emplace(7, kText);
  const Toll toll = kill_in([](SharedHeap& heap) { heap.update(insert); }, before, after, 67);
  EXPECT_GT(toll.instructions, 500U);
  EXPECT_GT(toll.broken, 20);
  EXPECT_GT(toll.before, 0);
  EXPECT_GT(toll.after, 0);
}

TEST(SharedHeapKill, at_any_instruction_of_an_erasure_is_told_or_did_no_harm) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  const Model before = model_of(20);
  Model after = before;
  after.erase(8);
  const Toll toll =
      kill_in([](SharedHeap& heap) { heap.lock().map<int, heap::string>("names").erase(8); },
              before, after, 67);
  EXPECT_GT(toll.broken, 20);
  EXPECT_GT(toll.after, 0);
}

TEST(SharedHeapKill, at_any_instruction_of_growing_is_told_or_did_no_harm) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  const Model same = model_of(3);
  const Toll toll = kill_in(
      [](SharedHeap& heap) { heap.lock().map<int, heap::string>("names").at(2).reserve(200'000); },
      same, same, 67);
  EXPECT_GT(toll.broken, 10);
}

TEST(SharedHeapKill, at_any_instruction_of_naming_an_object_is_told_or_did_no_harm) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  const Model same = model_of(3);
  const Toll toll = kill_in(
      [](SharedHeap& heap) {
        auto access = heap.lock();
        access.vector<int>("numbers");
        access.erase<heap::vector<int>>("numbers");
      },
      same, same, 67);
  EXPECT_GT(toll.broken, 20);
}

TEST(SharedHeapKill, at_any_instruction_of_reading_breaks_nothing) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  const Model same = model_of(5);
  const Toll toll = kill_in(
      [](SharedHeap& heap) {
        heap.read([](const HeapView& view) { return view.find<Names>("names")->count(4); });
      },
      same, same, 17);
  EXPECT_EQ(toll.broken, 0);
  EXPECT_GT(toll.instructions, 100U);
}

TEST(SharedHeapKill, at_any_instruction_of_a_reset_is_told_or_leaves_it_empty) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  const Toll toll = kill_in([](SharedHeap& heap) { heap.reset(); }, model_of(5), Model{}, 17);
  EXPECT_GT(toll.broken, 10);
  EXPECT_GT(toll.before, 2);
  EXPECT_GT(toll.after, 0);
}

TEST(SharedHeapKill, at_any_instruction_of_taking_over_leaves_it_to_the_next) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  constexpr std::size_t kStride = 61;  // most of them are of the question whether the owner lives
  SharedHeap heap{kMaximum};
  const Model before = model_of(5);
  Model after = before;
  after.emplace(7, kText);
  fill(heap.lock(), before);
  for (Sweep sweep{stride_unless_torture(kStride)}; sweep.next();) {
    Forked dead{[&] {
      const auto view = heap.view();
      ::raise(SIGKILL);
    }};
    dead.wait();
    SteppedChild victim{[&] { heap.update(insert); }};
    sweep.advance(victim);
    victim.kill();
    try {
      const Model left = contents(heap.view());
      EXPECT_TRUE(left == before || left == after) << "step " << sweep.instructions();
      fill(heap.lock(), before);
    } catch (const HeapBroken&) {
      fill(heap.reset(), before);
    }
  }
}

TEST(SharedHeapKill, in_the_sleep_before_the_lock_breaks_nothing) {
  SharedHeap heap{kMaximum};
  auto access = std::optional{heap.lock()};
  Forked victim{[&] { heap.update(insert); }};
  Forked other{[&] { heap.update(insert); }};
  ASSERT_TRUE(eventually([&] { return test::is_asleep(victim.pid()); }));
  ASSERT_TRUE(eventually([&] { return test::is_asleep(other.pid()); }));
  victim.kill(SIGKILL);
  EXPECT_EQ(victim.wait(), killed_by(SIGKILL));
  access.reset();
  EXPECT_EQ(other.wait(), exited(0));
  EXPECT_EQ(contents(heap.view()), (Model{{7, std::string{kText}}}));
}

// An insertion that is not marked, under a lock that is for reading. It must leave trees that are
// broken and do not say so, or these tests would see nothing. What is broken may crash who walks
// it.
TEST(SharedHeapKill, control_of_an_update_without_a_mark_breaks_the_heap_in_silence) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  const Model before = model_of(20);
  Model after = before;
  after.emplace(7, kText);
  std::optional<SharedHeap> heap;
  const auto renew = [&] {
    heap.emplace(kMaximum);
    fill(heap->lock(), before);
  };
  const auto insert_without_a_mark = [&] {
    const auto view = heap->view();
    const_cast<Names*>(view.find<Names>("names"))->emplace(7, kText);
  };
  renew();
  insert_without_a_mark();
  renew();
  int broken = 0;
  kill_at_every_instruction(
      insert_without_a_mark,
      [&](std::size_t) {
        Forked survivor{[&] {
          ::alarm(2);
          const Model left = contents(heap->view());
          return left == before || left == after ? 0 : 1;
        }};
        if (survivor.wait() != exited(0)) ++broken;
        renew();
      },
      stride_unless_torture(67));
  EXPECT_GT(broken, 0);
  RecordProperty("broken", broken);
}

// Two maps that are equal whenever nobody is in the middle of an update.
bool change_both(SharedHeap& heap, int key) {
  auto access = heap.reset_if_broken();
  if (!access) access.emplace(heap.lock());
  auto& first = access->map<int, heap::string>("first");
  auto& second = access->map<int, heap::string>("second");
  if (first != second) return false;
  if (first.erase(key) == 0) first.emplace(key, kText);
  if (second.erase(key) == 0) second.emplace(key, kText);
  ++access->find_or_construct<long>("rounds", 0);
  return true;
}

TEST(SharedHeapKill, storm_of_deaths_breaks_nothing_in_silence_and_stops_nobody) {
  constexpr int kProcesses = 3;
  constexpr int kKills = test::kSanitized ? 40 : 300;
  constexpr int kTorn = 9;
  auto heap = SharedHeap::open(test::shared_name("storm"), kMaximum);
  std::mt19937 random{13};
  const auto start_one = [&] {
    return Forked{[&, seed = random()] {
      std::mt19937 keys{seed};
      for (;;) {
        try {
          if (!change_both(heap, static_cast<int>(keys() % 100))) return kTorn;
        } catch (const HeapBroken&) {
          continue;  // it broke between the question and the lock
        }
      }
    }};
  };
  const auto rounds = [&] {
    const auto access = heap.reset_if_broken();
    if (access) return 0L;
    try {
      const auto view = heap.view();
      const auto* const count = view.find<long>("rounds");
      return count != nullptr ? *count : 0L;
    } catch (const HeapBroken&) {
      return 0L;
    }
  };
  std::list<Forked> children;
  for (int i = 0; i < kProcesses; ++i) children.push_back(start_one());
  for (int i = 0; i < kKills; ++i) {
    const long before = rounds();
    ASSERT_TRUE(eventually([&] { return rounds() != before; })) << "after " << i << " kills";
    std::this_thread::sleep_for(std::chrono::microseconds{random() % 1500});
    Forked& victim = children.front();
    victim.kill(random() % 4 == 0 ? SIGSTOP : SIGKILL);
    victim.kill(SIGKILL);
    ASSERT_EQ(victim.wait(), killed_by(SIGKILL)) << "it found a torn heap";
    children.pop_front();
    children.push_back(start_one());
  }
}

}  // namespace
}  // namespace procpool::ipc
