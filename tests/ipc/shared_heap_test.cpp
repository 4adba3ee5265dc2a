#include "ipc/shared_heap.hpp"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/shared_name.hpp"

namespace procpool::ipc {
namespace {

using test::exited;
using test::Forked;
using test::Gate;
using test::killed_by;
using test::shared_name;

constexpr std::size_t kMegabyte = 1024 * 1024;

using Names = heap::map<int, heap::string>;

static_assert(!std::is_copy_constructible_v<HeapAccess>);
static_assert(std::is_move_constructible_v<SharedHeap>);

TEST(SharedHeap, has_containers_by_name) {
  SharedHeap heap{kMegabyte};
  {
    auto access = heap.lock();
    access.map<int, heap::string>("names").emplace(7, "ada");
    access.vector<double>("numbers").push_back(0.5);
    access.string("motto") = "shared";
    access.unordered_map<heap::string, int>("counts").emplace("words", 3);
  }
  auto access = heap.lock();
  EXPECT_EQ((access.map<int, heap::string>("names").at(7)), "ada");
  EXPECT_EQ(access.vector<double>("numbers").at(0), 0.5);
  EXPECT_EQ(access.string("motto"), "shared");
  EXPECT_EQ((access.unordered_map<heap::string, int>("counts").find("words")->second), 3);
  EXPECT_EQ(access.names(), (std::vector<std::string>{"counts", "motto", "names", "numbers"}));
}

TEST(SharedHeap, looks_strings_up_by_any_kind_of_string) {
  SharedHeap heap{kMegabyte};
  auto access = heap.lock();
  auto& ordered = access.map<heap::string, int>("ordered");
  auto& hashed = access.unordered_map<heap::string, int>("hashed");
  ordered.emplace("key", 1);
  hashed.emplace(std::string_view{"key"}, 2);
  ordered[heap::string{"other", access.allocator()}] = 3;
  for (const std::string& key : {std::string{"key"}}) {
    EXPECT_EQ(ordered.count(key.c_str()) + ordered.count(key), 2U);
    EXPECT_EQ(ordered.count(std::string_view{key}), 1U);
    EXPECT_EQ(hashed.count(key.c_str()) + hashed.count(key), 2U);
    EXPECT_EQ(hashed.count(std::string_view{key}), 1U);
  }
  EXPECT_EQ(std::string_view{ordered.begin()->first}, "key");
}

TEST(SharedHeap, nests_containers_in_containers) {
  SharedHeap heap{kMegabyte};
  heap.update([](HeapAccess& h) {
    auto& groups = h.map<heap::string, heap::vector<heap::string>>("groups");
    auto& members = groups.emplace("all", heap::vector<heap::string>{h.allocator()}).first->second;
    members.emplace_back("one that is too long to lie in the string itself");
    h.unordered_map<int, heap::map<int, heap::string>>("deep")[3].emplace(4, "here");
  });
  heap.read([](const HeapView& h) {
    const auto* groups = h.find<heap::map<heap::string, heap::vector<heap::string>>>("groups");
    ASSERT_NE(groups, nullptr);
    EXPECT_EQ(groups->begin()->second.at(0), "one that is too long to lie in the string itself");
  });
}

struct Point {
  int x = 0;
  int y = 0;
};

TEST(SharedHeap, has_objects_of_your_own) {
  SharedHeap heap{kMegabyte};
  auto access = heap.lock();
  EXPECT_EQ(access.find<Point>("point"), nullptr);
  access.find_or_construct<Point>("point", 1, 2).x = 5;
  const Point& point = access.find_or_construct<Point>("point", 3, 4);
  EXPECT_EQ(point.x, 5);
  EXPECT_EQ(point.y, 2);
  EXPECT_TRUE(access.erase<Point>("point"));
  EXPECT_FALSE(access.erase<Point>("point"));
  EXPECT_TRUE(access.names().empty());
}

TEST(SharedHeap, does_not_take_one_type_for_another) {
  SharedHeap heap{kMegabyte};
  auto access = heap.lock();
  access.vector<int>("x");
  EXPECT_THROW(access.vector<unsigned>("x"), Error);
  EXPECT_THROW(access.find<Point>("x"), Error);
  EXPECT_THROW(access.erase<Point>("x"), Error);
}

TEST(SharedHeap, is_shared_with_children) {
  SharedHeap heap{kMegabyte};
  Forked child{[&] { heap.lock().map<int, heap::string>("names").emplace(1, "child"); }};
  EXPECT_EQ(child.wait(), exited(0));
  EXPECT_EQ(heap.view().find<Names>("names")->at(1), "child");
}

TEST(SharedHeap, may_lie_at_another_address) {
  SharedHeap heap{kMegabyte};
  auto same = SharedHeap::attach(UniqueFd{::dup(heap.fd())}, kMegabyte);
  for (int i = 0; i < 3000; ++i) {
    (i % 2 == 0 ? heap : same).lock().map<int, heap::string>("names").emplace(i, "somebody");
  }
  EXPECT_EQ(same.view().find<Names>("names")->size(), 3000U);
  EXPECT_EQ(same.view().find<Names>("names")->at(17), "somebody");
  const void* const here = heap.view().find<Names>("names");
  EXPECT_NE(same.view().find<Names>("names"), here);
  EXPECT_THROW(SharedHeap::attach(UniqueFd{::dup(heap.fd())}, 2 * kMegabyte), Error);
}

TEST(SharedHeap, by_one_name_is_one_heap) {
  auto first = SharedHeap::open(shared_name("heap"), kMegabyte);
  first.lock().string("who") = "first";
  auto second = SharedHeap::open(shared_name("heap"), kMegabyte);
  EXPECT_EQ(*second.view().find<heap::string>("who"), "first");
  EXPECT_THROW(SharedHeap::open(shared_name("heap"), 2 * kMegabyte), Error);
}

std::size_t allocated(int fd) {
  struct stat status{};
  EXPECT_EQ(::fstat(fd, &status), 0);
  return static_cast<std::size_t>(status.st_blocks) * 512;
}

TEST(SharedHeap, grows_up_to_its_maximum_and_takes_no_more_than_it_needs) {
  constexpr std::size_t kMaximum = 64 * kMegabyte;
  auto heap = SharedHeap::open(shared_name("heap"), kMaximum);
  EXPECT_EQ(heap.maximum(), kMaximum);
  EXPECT_LT(allocated(heap.fd()), 100'000U);
  auto access = heap.lock();
  auto& numbers = access.vector<std::uint64_t>("numbers");
  for (std::uint64_t i = 0; i < 100'000; ++i) numbers.push_back(i);
  EXPECT_GT(access.used(), 800'000U);
  EXPECT_EQ(access.used() + access.free(), access.maximum());
  EXPECT_GT(allocated(heap.fd()), access.used());
  EXPECT_LT(allocated(heap.fd()), 8 * kMegabyte);
  EXPECT_THROW(numbers.reserve(kMaximum / 8), std::bad_alloc);
  EXPECT_LT(allocated(heap.fd()), 8 * kMegabyte) << "what cannot be had is not tried";
}

TEST(SharedHeap, gives_back_what_is_erased) {
  SharedHeap heap{kMegabyte};
  const auto before = heap.view().used();
  for (int round = 0; round < 100; ++round) {
    auto access = heap.lock();
    auto& names = access.map<int, heap::string>("names");
    for (int i = 0; i < 1000; ++i) names.emplace(i, std::string(100, 'x'));
    access.erase<Names>("names");
  }
  EXPECT_EQ(heap.view().used(), before);
}

struct Large {
  std::array<char, 9000> bytes{};
};

TEST(SharedHeap, that_is_full_throws_and_is_as_it_was) {
  for (const std::size_t maximum : {std::size_t{8192}, std::size_t{100'000}, kMegabyte}) {
    SharedHeap heap{maximum};
    std::size_t size = 0;
    const auto fill = [&](HeapAccess& h) {
      auto& names = h.map<int, heap::string>("names");
      for (;; size = names.size()) names.emplace(static_cast<int>(names.size()), "some text");
    };
    EXPECT_THROW(heap.update(fill), std::bad_alloc);
    EXPECT_GT(size, maximum / 200);
    auto access = heap.lock();
    auto& names = access.map<int, heap::string>("names");
    ASSERT_EQ(names.size(), size);
    for (int i = 0; i < static_cast<int>(size); ++i) ASSERT_EQ(names.at(i), "some text");
    EXPECT_THROW(access.find_or_construct<Large>("more"), std::bad_alloc);
    EXPECT_EQ(access.names().size(), 1U);
    EXPECT_EQ(access.find<Point>("more"), nullptr);
    names.erase(3);
    names.emplace(-3, "some text");
    EXPECT_EQ(names.size(), size);
  }
}

TEST(SharedHeap, survives_what_an_update_throws) {
  SharedHeap heap{kMegabyte};
  const auto fail = [](HeapAccess& h) {
    h.vector<int>("numbers").push_back(1);
    throw std::runtime_error{"in the middle"};
  };
  EXPECT_THROW(heap.update(fail), std::runtime_error);
  EXPECT_EQ(
      heap.read([](const HeapView& h) { return h.find<heap::vector<int>>("numbers")->size(); }),
      1U);
}

struct Picky {
  explicit Picky(bool fails) {
    if (fails) throw std::runtime_error{"no"};
  }
};

TEST(SharedHeap, has_no_object_whose_construction_failed) {
  SharedHeap heap{kMegabyte};
  const auto before = heap.view().used();
  EXPECT_THROW(heap.lock().find_or_construct<Picky>("picky", true), std::runtime_error);
  EXPECT_EQ(heap.view().used(), before);
  EXPECT_EQ(heap.view().find<Picky>("picky"), nullptr);
}

TEST(SharedHeap, is_not_locked_twice_by_one_thread) {
  SharedHeap heap{kMegabyte};
  const auto access = heap.lock();
  EXPECT_THROW(heap.view(), Error);
}

TEST(SharedHeap, of_too_small_or_large_a_maximum_is_an_error) {
  EXPECT_THROW(SharedHeap{0}, Error);
  EXPECT_THROW(SharedHeap{8191}, Error);
  EXPECT_THROW(SharedHeap{~std::size_t{0}}, Error);
  EXPECT_EQ(SharedHeap{8193}.maximum(), 12288U);
}

void die_in_an_update(SharedHeap& heap) {
  Forked victim{[&] {
    auto access = heap.lock();
    access.vector<int>("numbers").push_back(1);
    ::raise(SIGKILL);
  }};
  EXPECT_EQ(victim.wait(), killed_by(SIGKILL));
}

TEST(SharedHeap, is_broken_for_everybody_once_somebody_died_in_an_update) {
  SharedHeap heap{kMegabyte};
  die_in_an_update(heap);
  for (int i = 0; i < 3; ++i) {
    EXPECT_THROW(heap.lock(), HeapBroken);
    EXPECT_THROW(heap.view(), HeapBroken);
  }
  Forked other{[&] {
    try {
      heap.lock();
    } catch (const HeapBroken&) {
      return 0;
    }
    return 1;
  }};
  EXPECT_EQ(other.wait(), exited(0));
}

TEST(SharedHeap, is_empty_and_whole_after_a_reset) {
  auto heap = SharedHeap::open(shared_name("heap"), 16 * kMegabyte);
  const auto unused = heap.view().used();
  heap.lock().string("big").assign(4 * kMegabyte, 'x');
  EXPECT_GT(allocated(heap.fd()), 4 * kMegabyte);
  die_in_an_update(heap);
  heap.reset().string("new") = "begin";
  EXPECT_LT(allocated(heap.fd()), 100'000U);
  heap.lock().string("new").assign(kMegabyte, 'y');
  EXPECT_EQ(heap.view().names(), std::vector<std::string>{"new"});
  EXPECT_FALSE(heap.reset_if_broken());
  heap.lock().erase<heap::string>("new");
  EXPECT_EQ(heap.view().used(), unused);
}

TEST(SharedHeap, is_emptied_by_the_first_who_finds_it_broken_only) {
  SharedHeap heap{kMegabyte};
  die_in_an_update(heap);
  {
    auto access = heap.reset_if_broken();
    ASSERT_TRUE(access);
    access->string("who") = "first";
  }
  EXPECT_FALSE(heap.reset_if_broken());
  EXPECT_EQ(*heap.view().find<heap::string>("who"), "first");
}

TEST(SharedHeap, is_not_broken_by_a_reader_that_dies) {
  SharedHeap heap{kMegabyte};
  heap.lock().string("who") = "here";
  Forked reader{[&] {
    const auto view = heap.view();
    ::raise(SIGKILL);
  }};
  EXPECT_EQ(reader.wait(), killed_by(SIGKILL));
  EXPECT_EQ(heap.lock().string("who"), "here");
}

TEST(SharedHeap, is_used_by_processes_and_threads_in_turn) {
  constexpr int kUsers = 3;
  constexpr int kRounds = 500;
  SharedHeap heap{kMegabyte};
  const auto count = [&] {
    for (int i = 0; i < kRounds; ++i) ++heap.lock().map<int, int>("counts")[i];
  };
  std::vector<Forked> children;
  for (int i = 0; i < kUsers; ++i) children.emplace_back(count);
  std::vector<std::thread> threads;
  for (int i = 0; i < kUsers; ++i) threads.emplace_back(count);
  for (auto& thread : threads) thread.join();
  for (auto& child : children) EXPECT_EQ(child.wait(), exited(0));
  auto access = heap.lock();
  for (int i = 0; i < kRounds; ++i) ASSERT_EQ((access.map<int, int>("counts")[i]), 2 * kUsers);
}

TEST(SharedHeap, in_a_full_file_system_throws_and_is_as_it_was) {
  constexpr int kNoNamespace = 42;
  Forked child{[] {
    if (::unshare(CLONE_NEWNS) < 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) {
      return kNoNamespace;
    }
    ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    if (::mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=1m") < 0) return kNoNamespace;
    auto heap = SharedHeap::open("/heap", 64 * kMegabyte);
    std::size_t size = 0;
    try {
      auto access = heap.lock();
      auto& names = access.map<int, heap::string>("names");
      for (;; size = names.size()) names.emplace(static_cast<int>(names.size()), "some text");
    } catch (const Error& error) {
      if (error.code().value() != ENOSPC) return 1;
    }
    const auto view = heap.view();
    const auto* names = view.find<Names>("names");
    if (names->size() != size || size < 1000) return 2;
    return std::ranges::all_of(*names, [](auto& name) { return name.second == "some text"; }) ? 0
                                                                                              : 3;
  }};
  const auto ending = child.wait();
  if (ending == exited(kNoNamespace)) GTEST_SKIP() << "no namespace of mounts may be made here";
  EXPECT_EQ(ending, exited(0));
}

// Rubbish in the words before the containers, which are the ones that can be checked.
TEST(SharedHeap, with_rubbish_in_its_control_words_is_an_error) {
  constexpr int kRounds = 300;
  std::mt19937_64 random{9};
  int errors = 0;
  for (int round = 0; round < kRounds; ++round) {
    SharedHeap heap{kMegabyte};
    heap.lock().string("who") = "here";
    void* at = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, heap.fd(), 0);
    ASSERT_NE(at, MAP_FAILED);
    auto* words = static_cast<std::uint64_t*>(at) + SharedMemory::kHeaderSize / 8;
    // The lock, the mark, the maximum, and the size, which begins as that of 16 pages.
    auto* const size = std::find_if(
        words + 9, words + 32, [](std::uint64_t word) { return word > 60'000 && word < 65'536; });
    ASSERT_NE(size, words + 32);
    *std::array{words, words + 2, words + 8, size}[random() % 4] = random() | 1U;
    ::munmap(at, 4096);
    try {
      if (heap.lock().string("who") != "here") ADD_FAILURE() << "it was changed";
    } catch (const Error&) {
      ++errors;
    }
    heap.reset().string("who") = "anew";
    EXPECT_EQ(heap.lock().string("who"), "anew");
  }
  EXPECT_GT(errors, kRounds / 3);
}

}  // namespace
}  // namespace procpool::ipc
