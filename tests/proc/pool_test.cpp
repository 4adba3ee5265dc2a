#include "proc/pool.hpp"

#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <memory>
#include <numeric>
#include <ranges>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/loop.hpp"
#include "ipc/base/process_id.hpp"
#include "ipc/pipe.hpp"
#include "ipc/shared.hpp"
#include "ipc/wait_any.hpp"
#include "proc/detail/thread_sanitizer.hpp"
#include "proc/signal_action.hpp"
#include "tests/support/children.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/sanitizers.hpp"

namespace procpool::proc {

void PrintTo(const ExitStatus& status, std::ostream* out) {
  *out << status.text();
}

namespace test_pool {

// An exception and a callable of one's own, with codecs.
struct ParseError : std::runtime_error {
  ParseError(int at, const std::string& text) : std::runtime_error{text}, line{at} {}
  int line;
};
struct Unregistered : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct Multiply {
  int by = 1;
  int operator()(int n) const { return n * by; }
};
struct Greeting {  // not trivially copyable
  std::string word;
  std::string operator()(const std::string& name) const { return word + " " + name; }
};
struct Unencodable {};

}  // namespace test_pool
}  // namespace procpool::proc

namespace procpool::ipc {

template <>
struct Codec<proc::test_pool::ParseError> {
  static void encode(const proc::test_pool::ParseError& error, std::vector<std::byte>& out) {
    Codec<int>::encode(error.line, out);
    Codec<std::string>::encode(error.what(), out);
  }
  static proc::test_pool::ParseError decode(std::span<const std::byte> bytes) {
    return {Codec<int>::decode(bytes.first(sizeof(int))),
            Codec<std::string>::decode(bytes.subspan(sizeof(int)))};
  }
};
template <>
struct Codec<proc::test_pool::Greeting> {
  static void encode(const proc::test_pool::Greeting& greeting, std::vector<std::byte>& out) {
    Codec<std::string>::encode(greeting.word, out);
  }
  static proc::test_pool::Greeting decode(std::span<const std::byte> bytes) {
    return {Codec<std::string>::decode(bytes)};
  }
};
// Whose bytes are refused on the one side or the other.
struct OneWay {
  enum class Refuses { nothing, encode, decode } refuses = Refuses::nothing;
  std::string text{};
};
template <>
struct Codec<OneWay> {
  static void encode(const OneWay& value, std::vector<std::byte>& out) {
    if (value.refuses == OneWay::Refuses::encode) throw Error{"encode", "OneWay", "it is not to"};
    Codec<std::string>::encode(value.refuses == OneWay::Refuses::decode ? "bad" : "good", out);
  }
  static OneWay decode(std::span<const std::byte> bytes) {
    OneWay value{.text = Codec<std::string>::decode(bytes)};
    if (value.text == "bad") throw Error{"decode", "OneWay", "it is not to"};
    return value;
  }
};

}  // namespace procpool::ipc

namespace procpool::proc {
namespace {

using namespace std::chrono_literals;
using ipc::OneWay;
using test::eventually;
using test::exited;
using test::Forked;
using test::Gate;
using test::kPatience;
using test_pool::Greeting;
using test_pool::Multiply;
using test_pool::ParseError;
using test_pool::Unregistered;

int twice(int n) {
  return 2 * n;
}

// What the workers of this test share with it.
struct Board {
  std::atomic<int> begun;
  std::atomic<int> done;
  std::atomic<pid_t> pid;
  std::atomic<bool> go;
};
ipc::Shared<Board>* board = nullptr;

class WithBoard : public testing::Test {
 protected:
  WithBoard() { board = &board_; }
  ~WithBoard() override { board = nullptr; }

  ipc::Shared<Board> board_;
};
class PoolTask : public WithBoard {};
class PoolEnd : public WithBoard {};

void wait_for_go() {
  ++(*board)->begun;
  while (!(*board)->go) std::this_thread::sleep_for(1ms);
  ++(*board)->done;
}
[[noreturn]] void never_return() {
  (*board)->pid = ::getpid();
  ++(*board)->begun;
  for (;;) ::pause();
}

std::vector<int> numbers_up_to(int count) {
  std::vector<int> numbers(static_cast<std::size_t>(count));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

PoolOptions with_workers(int workers) {
  PoolOptions options;
  options.workers = workers;
  return options;
}

template <typename Exception, typename Call>
std::string text_of(Call call) {
  try {
    call();
  } catch (const Exception& error) {
    EXPECT_EQ(typeid(error), typeid(Exception));
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

template <typename R>
WorkerDied death_of(Future<R>& future) {
  try {
    future.get();
  } catch (const WorkerDied& death) {
    return death;
  }
  throw std::runtime_error{"its worker has not died"};
}

// ---- What can be called, and with what

TEST(Pool, calls_functions_lambdas_and_objects_in_another_process) {
  Pool pool{2};
  EXPECT_EQ(pool.submit(&twice, 21).get(), 42);
  EXPECT_EQ(pool.apply(twice, 4), 8);
  EXPECT_NE(pool.apply([] { return ::getpid(); }), ::getpid());
  EXPECT_EQ(pool.apply([](int a, const std::string& b) { return b + std::to_string(a); }, 1, "x"),
            "x1");
  EXPECT_EQ(pool.apply(Multiply{.by = 3}, 5), 15);
  EXPECT_EQ(pool.apply(Greeting{.word = "hello"}, "you"), "hello you");
  EXPECT_NE(pool.apply(&::getpid), ::getpid()) << "of a library";
}

TEST(Pool, refuses_when_it_is_compiled_what_cannot_travel) {
  int n = 0;
  const auto capturing = [&n] { return n; };
  EXPECT_EQ(capturing(), 0);
  static_assert(!Callable<decltype(capturing)>, "a reference would mean nothing there");
  static_assert(Callable<int (*)(int)>);
  static_assert(Callable<Multiply>);
}

TEST(Pool, takes_arguments_and_results_of_any_size_to_the_worker_and_back) {
  Pool pool{2};
  for (const std::size_t size : {0UL, 1UL, 100UL, 1000UL, 70'000UL, 5'000'000UL, 40'000'000UL}) {
    std::string text(size, 'a');
    for (std::size_t i = 0; i < size; i += 997) text[i] = static_cast<char>('a' + i % 26);
    auto back = pool.submit([](std::string s) { return s; }, text);
    EXPECT_TRUE(back.get() == text) << size;
    const std::vector<std::uint64_t> words(size / 8, size);
    EXPECT_EQ(pool.apply([](const std::vector<std::uint64_t>& v) { return v.size(); }, words),
              words.size());
  }
}

TEST(Pool, takes_many_large_arguments_at_once_and_gives_the_memory_back) {
  Pool pool{2};
  const std::string large(1'000'000, 'x');
  for (int round = 0; round < 3; ++round) {
    std::vector<Future<std::size_t>> lengths;
    lengths.reserve(100);
    for (int i = 0; i < 100; ++i) {
      lengths.push_back(pool.submit([](const std::string& s) { return s.size(); }, large));
    }
    for (auto& length : lengths) ASSERT_EQ(length.get(), large.size());
  }
}

TEST(Pool, fails_the_task_whose_arguments_or_result_have_no_encoding) {
  Pool pool{1};
  using Refuses = OneWay::Refuses;
  const auto text = [](const OneWay& value) { return value.text; };
  EXPECT_EQ(pool.apply(text, OneWay{}), "good");
  EXPECT_THROW(pool.submit(text, OneWay{.refuses = Refuses::encode}), Error) << "here, at once";
  auto undecodable = pool.submit(text, OneWay{.refuses = Refuses::decode});
  EXPECT_EQ(text_of<Error>([&] { undecodable.get(); }), "decode \"OneWay\": it is not to");
  auto no_result = pool.submit([] { return OneWay{.refuses = Refuses::encode}; });
  EXPECT_EQ(text_of<Error>([&] { no_result.get(); }), "encode \"OneWay\": it is not to");
  auto bad_result = pool.submit([] { return OneWay{.refuses = Refuses::decode}; });
  EXPECT_EQ(text_of<Error>([&] { bad_result.get(); }), "decode \"OneWay\": it is not to");
  EXPECT_EQ(pool.apply(&twice, 1), 2) << "with the same worker";
}

TEST(Pool, finds_no_function_of_a_library_that_was_loaded_after_the_workers) {
  Pool early{1};
  const std::unique_ptr<void, int (*)(void*)> library{
      ::dlopen(PROCPOOL_LATE_LIBRARY, RTLD_NOW | RTLD_LOCAL), ::dlclose};
  ASSERT_NE(library, nullptr) << ::dlerror();
  auto* const add_one = reinterpret_cast<int (*)(int)>(::dlsym(library.get(), "add_one"));
  ASSERT_NE(add_one, nullptr);
  auto unknown = early.submit(add_one, 1);
  EXPECT_NE(text_of<Error>([&] { unknown.get(); }).find("late_library"), std::string::npos);
  EXPECT_EQ(early.apply(&twice, 1), 2);
  Pool late{1};
  EXPECT_EQ(late.apply(add_one, 1), 2);
}

// ---- Exceptions

TEST(PoolException, of_a_standard_type_comes_back_as_itself) {
  Pool pool{1};
  auto text = pool.submit([]() -> int { throw std::out_of_range{"too far"}; });
  EXPECT_EQ(text_of<std::out_of_range>([&] { text.get(); }), "too far");
  auto bad = pool.submit([] { throw std::bad_alloc{}; });
  text_of<std::bad_alloc>([&] { bad.get(); });
  auto system =
      pool.submit([] { throw std::system_error{ENOENT, std::generic_category(), "open it"}; });
  EXPECT_EQ(text_of<std::system_error>([&] { system.get(); }),
            "open it: No such file or directory");
  auto error = pool.submit([] { throw_errno("open", "/x", EACCES); });
  EXPECT_EQ(text_of<Error>([&] { error.get(); }), "open \"/x\": Permission denied");
  auto sentence = pool.submit([] { throw Error{"open", "/x", "no: never"}; });
  EXPECT_EQ(text_of<Error>([&] { sentence.get(); }), "open \"/x\": no: never");
}

TEST(PoolException, keeps_its_error_code) {
  Pool pool{1};
  auto failing = pool.submit([] { throw_errno("open", "/x", EACCES); });
  try {
    failing.get();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), std::errc::permission_denied);
    EXPECT_EQ(error.operation(), "open");
    EXPECT_EQ(error.object(), "/x");
  }
}

TEST(PoolException, of_a_registered_type_comes_back_as_itself) {
  PoolOptions options = with_workers(1);
  options.exceptions = {exception_type<ParseError>()};
  Pool pool{options};
  auto failing = pool.submit([]() -> int { throw ParseError{7, "a word is missing"}; });
  try {
    failing.get();
    FAIL();
  } catch (const ParseError& error) {
    EXPECT_EQ(error.line, 7);
    EXPECT_STREQ(error.what(), "a word is missing");
  }
}

TEST(PoolException, of_any_other_type_comes_back_with_its_name_and_text) {
  Pool pool{1};
  auto failing = pool.submit([] { throw Unregistered{"oh"}; });
  try {
    failing.get();
    FAIL();
  } catch (const RemoteError& error) {
    EXPECT_EQ(error.type_name(), "procpool::proc::test_pool::Unregistered");
    EXPECT_STREQ(error.what(), "oh");
  }
  auto number = pool.submit([] { throw 42; });
  try {
    number.get();
    FAIL();
  } catch (const RemoteError& error) {
    EXPECT_EQ(error.type_name(), "int");
  }
}

// ---- Futures

TEST(PoolFuture, gives_its_result_once) {
  Pool pool{1};
  auto answer = pool.submit(&twice, 1);
  EXPECT_EQ(answer.get(), 2);
  EXPECT_THROW(answer.get(), Error);
}

TEST_F(PoolTask, that_is_not_done_is_not_waited_for_beyond_the_deadline) {
  Pool pool{1};
  auto slow = pool.submit(&wait_for_go);
  auto behind = pool.submit(&twice, 1);
  EXPECT_FALSE(slow.get_for(1ms));
  EXPECT_FALSE(slow.ready());
  EXPECT_EQ(behind.get_for(1ms), std::nullopt);
  (*board)->go = true;
  EXPECT_TRUE(slow.get_for(kPatience));
  EXPECT_EQ(behind.get_for(kPatience), 2);
}

TEST_F(PoolTask, that_nobody_has_begun_is_cancelled_and_one_in_hand_is_not) {
  Pool pool{1};
  auto running = pool.submit(&wait_for_go);
  auto waiting = pool.submit(&wait_for_go);
  ASSERT_TRUE(eventually([] { return (*board)->begun == 1; }));
  EXPECT_FALSE(running.cancel());
  EXPECT_TRUE(waiting.cancel());
  EXPECT_FALSE(waiting.cancel()) << "it is settled";
  EXPECT_THROW(waiting.get(), Cancelled);
  (*board)->go = true;
  running.get();
  pool.shutdown();
  EXPECT_EQ((*board)->begun, 1);
}

TEST(PoolFuture, calls_what_comes_then_with_the_result) {
  Pool pool{1};
  auto text = pool.submit(&twice, 21)
                  .then([](int n) { return std::to_string(n); })
                  .then([](const std::string& s) { return s + "!"; });
  EXPECT_EQ(text.get(), "42!");
  int called = 0;
  auto without_result = pool.submit([] {}).then([&] { ++called; });
  without_result.get();
  EXPECT_EQ(called, 1);
}

TEST(PoolFuture, passes_a_failure_by_what_comes_then) {
  Pool pool{1};
  bool called = false;
  auto failed = pool.submit([]() -> int { throw std::out_of_range{"x"}; }).then([&](int n) {
    called = true;
    return n;
  });
  EXPECT_THROW(failed.get(), std::out_of_range);
  EXPECT_FALSE(called);
  auto throwing = pool.submit(&twice, 1).then([](int) -> int { throw std::length_error{"y"}; });
  EXPECT_THROW(throwing.get(), std::length_error);
}

TEST(PoolFuture, may_submit_and_wait_in_what_comes_then) {
  Pool pool{2};
  auto chained = pool.submit(&twice, 1).then([&](int n) { return pool.submit(&twice, n).get(); });
  EXPECT_EQ(chained.get(), 4);
}

TEST_F(PoolTask, that_is_awaited_with_others_wakes_when_the_first_is_done) {
  Pool pool{2};
  std::vector<Future<void>> futures;
  futures.push_back(pool.submit(&wait_for_go));
  futures.push_back(pool.submit([] {}));
  EXPECT_EQ(wait(futures, WaitFor::any), (std::vector<std::size_t>{1}));
  EXPECT_EQ(wait(futures, WaitFor::all, Deadline::in(1ms)), (std::vector<std::size_t>{1}));
  (*board)->go = true;
  EXPECT_EQ(wait(futures).size(), 2U);
}

TEST_F(PoolTask, comes_from_as_completed_when_it_is_done) {
  Pool first{1};
  Pool second{1};
  std::vector<Future<void>> futures;
  futures.push_back(first.submit(&wait_for_go));
  futures.push_back(second.submit([] {}));
  std::vector<std::ptrdiff_t> order;
  for (auto& future : as_completed(futures)) {
    order.push_back(&future - futures.data());
    (*board)->go = true;
  }
  EXPECT_EQ(order, (std::vector<std::ptrdiff_t>{1, 0}));
}

TEST_F(PoolTask, that_does_not_come_from_as_completed_in_time_throws) {
  Pool pool{1};
  std::vector<Future<void>> futures;
  futures.push_back(pool.submit(&wait_for_go));
  EXPECT_THROW(
      {
        for (auto& future : as_completed(futures, Deadline::in(1ms))) future.get();
      },
      Error);
  (*board)->go = true;
}

TEST(PoolFuture, is_waited_for_with_other_things) {
  Pool pool{1};
  auto answer = pool.submit(&twice, 2);
  Gate never;
  EXPECT_EQ(ipc::wait_any(Deadline::in(kPatience), never, answer), (std::vector<std::size_t>{1}));
  EXPECT_EQ(answer.get(), 4);
}

TEST(PoolFuture, is_settled_in_a_loop_of_ones_own) {
  Pool pool{2};
  Loop loop;
  int sum = 0;
  std::vector<Future<void>> all;
  all.reserve(100);
  for (int i = 0; i < 100; ++i) {
    all.push_back(pool.submit(&twice, i).then([&](int n) {
      sum += n;
      if (sum == 9900) loop.stop();
    }));
  }
  const Loop::Watch watch{loop, pool.fd(), Interest::read, [&](const Readiness&) { pool.step(); }};
  pool.step();
  if (sum != 9900) loop.run();
  EXPECT_EQ(sum, 9900);
}

TEST_F(PoolTask, outlives_its_pool_as_cancelled) {
  std::optional<Future<void>> running;
  std::optional<Future<void>> after;
  {
    Pool pool{1};
    running = pool.submit(&wait_for_go);
    after = pool.submit(&wait_for_go).then([] {});
  }
  EXPECT_THROW(running->get(), Cancelled);
  EXPECT_THROW(after->get(), Cancelled);
}

// ---- Maps

TEST(PoolMap, gives_results_in_order_whatever_the_chunks) {
  Pool pool{2};
  const std::vector<int> numbers = numbers_up_to(5000);
  for (const std::size_t chunk : {0U, 1U, 7U, 10000U}) {
    int expected = 0;
    for (const int result : pool.map(&twice, numbers, {.chunk = chunk})) {
      ASSERT_EQ(result, 2 * expected);
      ++expected;
    }
    EXPECT_EQ(expected, 5000);
    EXPECT_EQ(pool.map(&twice, numbers, {.chunk = chunk}).get().size(), 5000U);
  }
  EXPECT_TRUE(pool.map(&twice, std::vector<int>{}).get().empty());
}

TEST(PoolMap, goes_through_a_range_without_end_only_as_far_as_it_is_read) {
  Pool pool{2};
  int drawn = 0;
  auto endless = std::views::iota(0) | std::views::transform([&](int n) {
                   ++drawn;
                   return n;
                 });
  int read = 0;
  for (const int result : pool.map(&twice, endless, {.chunk = 1})) {
    ASSERT_EQ(result, 2 * read);
    if (++read == 1000) break;
  }
  EXPECT_LT(drawn, 3000);
}

TEST(PoolMap, sends_what_a_range_makes_as_it_goes) {
  Pool pool{2};
  const auto large = std::views::iota(0, 50) | std::views::transform([](int n) {
                       return std::string(100'000, static_cast<char>('a' + n % 26));
                     });
  int seen = 0;
  for (const std::string& text : pool.map([](std::string s) { return s; }, large)) {
    ASSERT_EQ(text.size(), 100'000U);
    ASSERT_EQ(text.back(), 'a' + seen++ % 26);
  }
  EXPECT_EQ(seen, 50);
  std::istringstream words{"one two three"};
  EXPECT_EQ(pool.map([](const std::string& s) { return s.size(); },
                     std::views::istream<std::string>(words))
                .get(),
            (std::vector<std::size_t>{3, 3, 5}));
}

TEST(PoolMap, throws_where_the_failed_result_is_read_and_goes_on) {
  Pool pool{2};
  const auto fail_on_three = [](int n) {
    if (n == 3) throw std::out_of_range{"three"};
    return n;
  };
  auto results = pool.map(fail_on_three, numbers_up_to(6), {.chunk = 2});
  std::vector<int> good;
  int failed = 0;
  for (auto at = results.begin(); at != results.end(); ++at) {
    try {
      good.push_back(*at);
    } catch (const std::out_of_range&) {
      ++failed;
    }
  }
  EXPECT_EQ(good, (std::vector<int>{0, 1, 2, 4, 5}));
  EXPECT_EQ(failed, 1);
  EXPECT_THROW(pool.map(fail_on_three, numbers_up_to(6)).get(), std::out_of_range);
}

TEST(PoolMap, unordered_tells_which_element_each_result_is_of) {
  Pool pool{2};
  std::map<std::size_t, int> results;
  std::size_t failed = 0;
  const auto fail_on_three = [](int n) {
    if (n == 3) throw std::out_of_range{"three"};
    return 2 * n;
  };
  for (auto& [index, result] : pool.map_unordered(fail_on_three, numbers_up_to(100))) {
    if (index == 3) {
      EXPECT_THROW(result.get(), std::out_of_range);
      ++failed;
    } else {
      results[index] = result.get();
    }
  }
  EXPECT_EQ(failed, 1U);
  ASSERT_EQ(results.size(), 99U);
  for (const auto& [index, result] : results) EXPECT_EQ(result, 2 * static_cast<int>(index));
}

TEST_F(PoolTask, of_a_map_gives_the_first_result_while_another_still_runs) {
  Pool pool{2};
  const auto wait_on_zero = [](int n) {
    if (n == 0) wait_for_go();
    return n;
  };
  std::vector<std::size_t> order;
  for (auto& [index, result] : pool.map_unordered(wait_on_zero, numbers_up_to(3), {.chunk = 1})) {
    order.push_back(index);
    if (order.size() == 2) (*board)->go = true;
  }
  EXPECT_EQ(order.back(), 0U);
}

TEST_F(PoolTask, of_a_map_that_is_left_is_cancelled) {
  Pool pool{1};
  const auto count = [](int n) {
    ++(*board)->begun;
    if (n > 0) wait_for_go();
    return n;
  };
  for (const int result : pool.map(count, numbers_up_to(200), {.chunk = 1})) {
    EXPECT_EQ(result, 0);
    break;
  }
  (*board)->go = true;
  pool.shutdown();
  EXPECT_LE((*board)->begun, 1 + 2) << "one in hand, which counts itself twice";
}

TEST(PoolMap, starmap_takes_the_elements_as_arguments) {
  Pool pool{2};
  const std::vector<std::tuple<int, std::string>> calls{{1, "a"}, {2, "b"}};
  const auto join = [](int n, const std::string& s) { return s + std::to_string(n); };
  EXPECT_EQ(pool.starmap(join, calls).get(), (std::vector<std::string>{"a1", "b2"}));
  const std::vector<std::pair<int, int>> pairs{{1, 2}, {3, 4}};
  EXPECT_EQ(pool.starmap([](int a, int b) { return a + b; }, pairs).get(),
            (std::vector<int>{3, 7}));
}

TEST(PoolMap, for_each_tells_its_progress_and_does_all_before_it_throws) {
  Pool pool{2};
  std::vector<std::size_t> progress;
  pool.for_each([](int) {}, numbers_up_to(10), [&](std::size_t done) { progress.push_back(done); });
  ASSERT_EQ(progress.size(), 10U);
  EXPECT_EQ(progress.back(), 10U);
  progress.clear();
  const auto fail = [](int n) {
    if (n >= 5) throw std::out_of_range{std::to_string(n)};
  };
  EXPECT_EQ(text_of<std::out_of_range>([&] {
              pool.for_each(fail, numbers_up_to(10),
                            [&](std::size_t done) { progress.push_back(done); }, {.chunk = 1});
            }),
            "5");
  EXPECT_EQ(progress.size(), 10U);
}

TEST(PoolMap, lets_what_the_range_throws_through) {
  Pool pool{1};
  const auto throwing = std::views::iota(0, 10) | std::views::transform([](int n) {
                          if (n == 5) throw std::length_error{"no more"};
                          return n;
                        });
  EXPECT_THROW(pool.map(&twice, throwing, {.chunk = 1}).get(), std::length_error);
  EXPECT_EQ(pool.apply(&twice, 1), 2);
}

// ---- Tasks that are the end of their worker

TEST(PoolWorker, that_dies_fails_its_task_with_how_it_died) {
  Pool pool{1};
  auto exits = pool.submit([] { ::exit(3); });
  EXPECT_EQ(death_of(exits).status(), ExitStatus::exited(3));
  auto exits_at_once = pool.submit([] { ::_exit(0); });
  EXPECT_EQ(death_of(exits_at_once).status(), ExitStatus::exited(0));
  auto aborts = pool.submit([] { std::abort(); });
  EXPECT_EQ(death_of(aborts).status()->signal(), SIGABRT);
  auto killed = pool.submit([] { ::raise(SIGKILL); });
  EXPECT_EQ(death_of(killed).status(), ExitStatus::signaled(SIGKILL));
  EXPECT_EQ(pool.apply(&twice, 1), 2);
}

int dig(int depth) {
  if (depth < 0) return 0;
  volatile char page[4096];
  page[0] = static_cast<char>(depth);
  return dig(depth + 1) + page[0];
}

TEST(PoolWorker, that_overflows_its_stack_fails_its_task) {
  Pool pool{1};
  auto digs = pool.submit(&dig, 0);
  const WorkerDied death = death_of(digs);
  if (!test::kSanitized) {
    EXPECT_EQ(death.status()->signal(), SIGSEGV);
  }
  EXPECT_EQ(pool.apply(&twice, 1), 2);
}

TEST(PoolWorker, that_dies_tells_the_last_line_that_it_wrote) {
  Pool pool{1};
  auto fails = pool.submit([] {
    write_full(STDERR_FILENO, "first\nthe disk is on fire\n", "stderr");
    ::_exit(1);
  });
  const WorkerDied death = death_of(fails);
  EXPECT_EQ(death.last_line(), "the disk is on fire");
  EXPECT_NE(std::string_view{death.what()}.find("exited with code 1: the disk is on fire"),
            std::string_view::npos);
}

TEST_F(PoolTask, that_is_idempotent_is_tried_again_when_its_worker_dies) {
  Pool pool{1};
  const auto dies_twice = [] {
    if (++(*board)->begun < 3) ::raise(SIGKILL);
    return 7;
  };
  EXPECT_EQ(pool.submit({.idempotent = true}, dies_twice).get(), 7);
  EXPECT_EQ((*board)->begun, 3);
  (*board)->begun = -100;
  auto hopeless = pool.submit({.idempotent = true}, dies_twice);
  EXPECT_EQ(death_of(hopeless).status(), ExitStatus::signaled(SIGKILL));
  EXPECT_EQ((*board)->begun, -100 + TaskOptions::kMostAttempts);
}

TEST(PoolWorker, that_dies_in_a_chunk_costs_only_the_call_that_it_had_in_hand) {
  Pool pool{2};
  const auto die_on_some = [](int n) {
    if (n % 100 == 50) ::raise(SIGKILL);
    return n;
  };
  int died = 0;
  int seen = 0;
  auto results = pool.map(die_on_some, numbers_up_to(1000), {.chunk = 200});
  for (auto at = results.begin(); at != results.end(); ++at, ++seen) {
    try {
      ASSERT_EQ(*at, seen);
    } catch (const WorkerDied&) {
      ASSERT_EQ(seen % 100, 50);
      ++died;
    }
  }
  EXPECT_EQ(seen, 1000);
  EXPECT_EQ(died, 10);
}

TEST_F(PoolTask, that_runs_longer_than_its_deadline_is_killed_with_its_worker) {
  Pool pool{1};
  auto endless = pool.submit({.deadline = 20ms}, [] { never_return(); });
  auto after = pool.submit(&twice, 1);
  EXPECT_THROW(endless.get(), DeadlineExceeded);
  EXPECT_EQ(after.get(), 2);
  EXPECT_EQ(pool.submit({.deadline = 1h}, &twice, 2).get(), 4);
  EXPECT_NE(pool.apply([] { return ::getpid(); }), (*board)->pid);
}

TEST_F(PoolTask, of_a_map_has_its_deadline_for_each_call) {
  Pool pool{1};
  const auto hang_on_two = [](int n) {
    if (n == 2) never_return();
    return n;
  };
  const MapOptions options{.chunk = 5, .task = {.deadline = 500ms}};
  int exceeded = 0;
  std::vector<int> good;
  auto results = pool.map(hang_on_two, numbers_up_to(5), options);
  for (auto at = results.begin(); at != results.end(); ++at) {
    try {
      good.push_back(*at);
    } catch (const DeadlineExceeded&) {
      ++exceeded;
    }
  }
  EXPECT_EQ(good, (std::vector<int>{0, 1, 3, 4}));
  EXPECT_EQ(exceeded, 1);
}

TEST(PoolWorker, that_dies_idle_is_replaced) {
  Pool pool{2};
  EXPECT_EQ(pool.apply(&twice, 1), 2);
  for (const pid_t pid : pool.worker_pids()) ::kill(pid, SIGKILL);
  EXPECT_EQ(pool.apply(&twice, 2), 4);
  EXPECT_TRUE(eventually([&] {
    pool.step();
    return pool.worker_pids().size() == 2;
  }));
}

TEST_F(PoolTask, is_done_by_another_worker_when_one_is_stopped) {
  Pool pool{2};
  EXPECT_EQ(pool.apply(&twice, 1), 2);
  const pid_t stopped = pool.worker_pids().front();
  ::kill(stopped, SIGSTOP);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(pool.apply(&twice, i), 2 * i);
}

TEST_F(PoolTask, that_leaves_a_thread_is_done) {
  Pool pool{1};
  pool.apply([] { std::thread{[] { never_return(); }}.detach(); });
  EXPECT_EQ(pool.apply(&twice, 1), 2);
}

TEST_F(PoolTask, that_leaves_processes_is_done_and_they_end_with_the_worker) {
  {
    Pool pool{1};
    pool.apply([] {
      if (::fork() == 0) never_return();
    });
    pool.apply([] {
      if (::fork() != 0) return;
      ::setsid();
      if (::fork() == 0) never_return();
      ::_exit(0);
    });
    ASSERT_TRUE(eventually([] { return (*board)->begun == 2; }));
    EXPECT_EQ(pool.apply(&twice, 1), 2);
  }
  EXPECT_FALSE(test::has_children()) << "and this process would adopt them";
}

TEST_F(PoolTask, that_comes_back_in_a_child_that_it_forked_too_is_done_once) {
  Pool pool{2};
  const auto fork_and_return = [](int n) {
    if (::fork() == 0) ++(*board)->begun;
    return n;
  };
  for (int i = 0; i < 20; ++i) ASSERT_EQ(pool.apply(fork_and_return, i), i);
  EXPECT_TRUE(eventually([] { return (*board)->begun == 20; }));
  EXPECT_EQ(pool.map(&twice, numbers_up_to(1000)).get().back(), 1998);
}

TEST_F(PoolTask, that_closes_all_descriptors_is_done) {
  Pool pool{1};
  pool.apply([] { ::close_range(0, ~0U, 0); });
  for (int i = 0; i < 10; ++i) EXPECT_EQ(pool.apply(&twice, i), 2 * i);
}

// ---- Workers

TEST(PoolWorker, calls_the_initializer_first) {
  static int prepared = 0;
  PoolOptions options = with_workers(2);
  options.initializer = Call{
      [](int n, const std::string& s) { prepared = n + static_cast<int>(s.size()); }, 40, "ab"};
  Pool pool{options};
  for (int i = 0; i < 10; ++i) EXPECT_EQ(pool.apply([] { return prepared; }), 42);
  auto dies = pool.submit([] { ::_exit(0); });
  death_of(dies);
  EXPECT_EQ(pool.apply([] { return prepared; }), 42) << "in those that come later, too";
}

TEST_F(PoolTask, fails_while_no_worker_can_be_started_and_works_again_when_one_can) {
  PoolOptions options = with_workers(2);
  options.restart.first_delay = 1ms;
  options.restart.longest_delay = 2ms;
  options.initializer = Call{[] {
    if (!(*board)->go) throw std::runtime_error{"the database is away"};
  }};
  Pool pool{options};
  for (int i = 0; i < 3; ++i) {
    auto failing = pool.submit(&twice, 1);
    const std::string text = text_of<PoolUnavailable>([&] { failing.get(); });
    EXPECT_NE(text.find("the database is away"), std::string::npos) << text;
  }
  (*board)->go = true;
  EXPECT_TRUE(eventually([&] {
    try {
      return pool.apply(&twice, 1) == 2;
    } catch (const PoolUnavailable&) {
      return false;
    }
  }));
}

TEST(PoolWorker, that_cannot_be_forked_makes_the_pool_unavailable) {
  if (::geteuid() == 0) {  // whom no limit of processes keeps
    PoolOptions options = with_workers(1);
    options.cpus = {1023};
    Pool pool{options};
    EXPECT_THROW(pool.apply(&twice, 1), PoolUnavailable);
  }
}

TEST(PoolWorker, is_replaced_after_so_many_tasks) {
  PoolOptions options = with_workers(1);
  options.most_tasks = 3;
  Pool pool{options};
  std::vector<pid_t> pids;
  pids.reserve(9);
  for (int i = 0; i < 9; ++i) pids.push_back(pool.apply([] { return ::getpid(); }));
  EXPECT_EQ(std::set<pid_t>(pids.begin(), pids.end()).size(), 3U);
  EXPECT_EQ(pids[0], pids[2]);
  EXPECT_NE(pids[2], pids[3]);
}

TEST(PoolWorker, is_replaced_when_it_has_grown) {
  PoolOptions options = with_workers(1);
  options.most_resident_bytes = std::uint64_t{1} << 40U;
  const auto grow = [] {
    static std::vector<char> kept;
    kept.assign(200'000'000, 'x');
    return ::getpid();
  };
  {
    Pool pool{options};
    EXPECT_EQ(pool.apply(grow), pool.apply(grow));
  }
  options.most_resident_bytes = 150'000'000;
  Pool pool{options};
  EXPECT_NE(pool.apply(grow), pool.apply(grow));
}

TEST(PoolWorker, has_its_name_niceness_and_processor) {
  cpu_set_t allowed;
  ASSERT_EQ(::sched_getaffinity(0, sizeof allowed, &allowed), 0);
  int first = 0;
  while (!CPU_ISSET(first, &allowed)) ++first;
  PoolOptions options = with_workers(1);
  options.name = "renderer";
  options.nice = 3;
  options.cpus = {first};
  Pool pool{options};
  EXPECT_EQ(pool.apply([] { return read_file("/proc/self/comm"); }), "renderer\n");
  EXPECT_EQ(pool.apply([] { return ::getpriority(PRIO_PROCESS, 0); }),
            ::getpriority(PRIO_PROCESS, 0) + 3);
  EXPECT_EQ(pool.apply([] {
    cpu_set_t mine;
    ::sched_getaffinity(0, sizeof mine, &mine);
    return CPU_COUNT(&mine);
  }),
            1);
}

TEST(PoolWorker, writes_out_what_its_tasks_print) {
  auto [reader, writer] = ipc::make_pipe();
  const int saved = ::dup(STDOUT_FILENO);
  std::fflush(stdout);
  ::dup2(writer.fd(), STDOUT_FILENO);
  writer.close();
  {
    Pool pool{1};
    pool.apply([] { std::printf("hello from a task\n"); });
    pool.shutdown();
  }
  ::dup2(saved, STDOUT_FILENO);
  ::close(saved);
  EXPECT_EQ(read_to_end(reader.fd(), "stdout"), "hello from a task\n");
}

TEST(PoolFuture, wakes_a_loop_no_more_when_all_is_settled) {
  Pool pool{1};
  std::vector<Future<int>> timed;
  timed.push_back(pool.submit({.deadline = 5ms}, &twice, 1));
  wait(timed);
  EXPECT_TRUE(eventually([&] {
    pool.step();
    return wait_ready(pool.fd(), POLLIN, Deadline::in(20ms)) == 0;
  }));
}

// ---- The queue

TEST_F(PoolTask, waits_for_room_in_a_full_queue) {
  PoolOptions options = with_workers(1);
  options.queue_capacity = 4;
  Pool pool{options};
  std::vector<Future<void>> tasks;
  tasks.reserve(4);
  for (int i = 0; i < 4; ++i) tasks.push_back(pool.submit(&wait_for_go));
  EXPECT_FALSE(pool.try_submit(&wait_for_go));
  EXPECT_FALSE(pool.submit_until(Deadline::in(1ms), {}, &wait_for_go));
  EXPECT_EQ(pool.unsettled(), 4U);
  (*board)->go = true;
  for (int i = 0; i < 100; ++i) tasks.push_back(pool.submit(&wait_for_go));
  for (auto& task : tasks) task.get();
  EXPECT_EQ((*board)->done, 104);
}

TEST_F(PoolTask, that_was_cancelled_leaves_its_room_to_others) {
  PoolOptions options = with_workers(1);
  options.queue_capacity = 4;
  Pool pool{options};
  auto first = pool.submit(&wait_for_go);
  ASSERT_TRUE(eventually([] { return (*board)->begun == 1; }));
  for (int i = 0; i < 1000; ++i) {
    auto waiting = pool.submit(&wait_for_go);
    ASSERT_TRUE(waiting.cancel());
  }
  (*board)->go = true;
  first.get();
}

TEST(PoolQueue, takes_more_results_than_the_ring_holds_while_nobody_reads) {
  Pool pool{1};
  std::vector<Future<std::string>> texts;
  texts.reserve(60);
  for (int i = 0; i < 60; ++i) {
    texts.push_back(pool.submit(
        [](int n) { return std::string(1'000'000, static_cast<char>('a' + n % 26)); }, i));
  }
  for (std::size_t i = 0; i < texts.size(); ++i) ASSERT_EQ(texts[i].get().back(), 'a' + i % 26);
}

// ---- The end

TEST_F(PoolEnd, by_shutdown_waits_for_every_task) {
  Pool pool{2};
  std::vector<Future<void>> tasks;
  tasks.reserve(100);
  for (int i = 0; i < 100; ++i) tasks.push_back(pool.submit([] { ++(*board)->done; }));
  pool.shutdown();
  EXPECT_EQ((*board)->done, 100);
  EXPECT_TRUE(pool.worker_pids().empty());
  EXPECT_THROW(pool.submit(&twice, 1), Error);
  for (auto& task : tasks) task.get();
}

TEST_F(PoolEnd, by_terminate_cancels_what_is_not_done) {
  Pool pool{1};
  auto running = pool.submit([] { never_return(); });
  auto waiting = pool.submit(&twice, 1);
  ASSERT_TRUE(eventually([] { return (*board)->begun == 1; }));
  pool.terminate();
  EXPECT_THROW(running.get(), Cancelled);
  EXPECT_THROW(waiting.get(), Cancelled);
  EXPECT_THROW(pool.submit(&twice, 1), Error);
  pool.shutdown();
}

TEST_F(PoolEnd, of_a_pool_that_was_never_used_leaves_nothing) {
  const Pool pool{3};
}

TEST(PoolOptions, that_make_no_sense_are_refused) {
  EXPECT_THROW(Pool{0}, Error);
  EXPECT_THROW(Pool{-1}, Error);
  EXPECT_THROW(Pool{with_workers(1'000'000)}, Error);
  PoolOptions options;
  options.queue_capacity = 0;
  EXPECT_THROW(Pool{options}, Error);
}

TEST(Pool, can_be_moved) {
  Pool first{1};
  auto answer = first.submit(&twice, 1);
  Pool second = std::move(first);
  EXPECT_EQ(answer.get(), 2);
  EXPECT_EQ(second.apply(&twice, 2), 4);
  second = Pool{1};
  EXPECT_EQ(second.apply(&twice, 3), 6);
}

// ---- Processes and threads

TEST(Pool, in_a_child_of_fork_owns_nothing) {
  Pool pool{1};
  auto answer = pool.submit(&twice, 1);
  Forked child{[&] {
    EXPECT_THROW(pool.submit(&twice, 1), Error);
    EXPECT_THROW(answer.get(), Error);
    const Pool moved = std::move(pool);
  }};
  EXPECT_EQ(child.wait(), exited(0));
  EXPECT_EQ(answer.get(), 2);
  EXPECT_EQ(pool.apply(&twice, 2), 4);
}

TEST(Pool, is_made_in_a_program_without_standard_descriptors) {
  Forked child{[] {
    ::close_range(STDIN_FILENO, STDERR_FILENO, 0);
    Pool pool{2};
    auto dies = pool.submit([] { ::_exit(3); });
    return death_of(dies).status() == ExitStatus::exited(3) && pool.apply(&twice, 1) == 2 ? 0 : 1;
  }};
  EXPECT_EQ(child.wait(), exited(0));
}

TEST(Pool, is_not_made_while_the_end_of_children_is_ignored) {
  const ScopedSignalAction ignored{SIGCHLD, SIG_IGN};
  EXPECT_NE(text_of<Error>([] { Pool{1}; }).find("SIGCHLD is ignored"), std::string::npos);
}

TEST(Pool, is_made_within_a_task_too) {
  Pool pool{2};
  const auto nested = [](int n) {
    Pool inner{2};
    const std::vector<int> numbers = numbers_up_to(n);
    int sum = 0;
    for (const int result : inner.map(&twice, numbers)) sum += result;
    return sum;
  };
  EXPECT_EQ(pool.map(nested, std::vector<int>{10, 20}).get(), (std::vector<int>{90, 380}));
}

TEST_F(PoolEnd, of_a_worker_is_the_end_of_the_pool_that_its_task_made) {
  Pool pool{1};
  auto nested = pool.submit([] {
    Pool inner{1};
    auto never = inner.submit([] { never_return(); });
    never.get();
  });
  ASSERT_TRUE(eventually([] { return (*board)->begun == 1; }));
  const auto innermost = ProcessId::of((*board)->pid);
  ASSERT_TRUE(innermost);
  ::kill(pool.worker_pids().front(), SIGKILL);
  EXPECT_THROW(nested.get(), WorkerDied);
  EXPECT_TRUE(eventually([&] { return innermost->is_dead(); }));
}

TEST(Nursery, starts_workers_while_threads_run) {
  Nursery nursery;
  Gate gate;
  std::thread other{[&] { gate.wait(); }};
  EXPECT_THROW(Pool{1}, Error) << "its own nursery would have to fork";
  EXPECT_THROW(Nursery{}, Error);
  {
    Pool pool{with_workers(2), nursery};
    EXPECT_EQ(pool.apply(&twice, 1), 2);
    auto dies = pool.submit([] { ::_exit(1); });
    death_of(dies);
    EXPECT_EQ(pool.apply(&twice, 1), 2);
  }
  std::thread another{[&] {
    Pool pool{with_workers(1), nursery};
    EXPECT_EQ(pool.apply(&twice, 2), 4);
  }};
  another.join();
  gate.open();
  other.join();
}

TEST(Nursery, serves_several_pools) {
  Nursery nursery;
  std::optional<Pool> first{std::in_place, with_workers(2), nursery};
  Pool second{with_workers(1), nursery};
  EXPECT_EQ(first->apply(&twice, 1), 2);
  EXPECT_EQ(second.apply(&twice, 1), 2);
  first.reset();
  EXPECT_EQ(second.apply(&twice, 2), 4);
}

TEST(Nursery, that_is_killed_is_made_anew) {
  {
    Nursery nursery;
    Pool pool{with_workers(2), nursery};
    EXPECT_EQ(pool.apply(&twice, 1), 2);
    const pid_t before = nursery.pid();
    ::kill(before, SIGKILL);
    EXPECT_TRUE(eventually([&] {
      pool.step();
      return nursery.pid() != before;
    }));
    EXPECT_EQ(pool.apply(&twice, 2), 4);
  }
  EXPECT_TRUE(test::await_no_children()) << "the first one's workers, which this process adopted";
}

TEST(Nursery, that_is_killed_while_threads_run_leaves_a_pool_that_says_so) {
  if (detail::kThreadSanitizer) GTEST_SKIP() << "the sanitizer's own thread comes and goes";
  {
    Nursery nursery;
    Pool pool{with_workers(1), nursery};
    Gate gate;
    std::thread other{[&] { gate.wait(); }};
    ::kill(nursery.pid(), SIGKILL);
    EXPECT_TRUE(eventually([&] {
      try {
        pool.apply(&twice, 1);
        return false;
      } catch (const PoolUnavailable& error) {
        return std::string_view{error.what()}.find("threads") != std::string_view::npos;
      } catch (const WorkerDied&) {
        return false;
      }
    }));
    gate.open();
    other.join();
    EXPECT_TRUE(eventually([&] {
      try {
        return pool.apply(&twice, 1) == 2;
      } catch (const PoolUnavailable&) {
        return false;
      }
    }));
  }
  EXPECT_TRUE(test::await_no_children());
}

TEST_F(PoolEnd, of_the_process_that_made_it_is_the_end_of_its_workers) {
  for (const int signal_number : {SIGKILL, SIGTERM}) {
    (*board)->begun = 0;
    Forked owner{[] {
      Pool pool{2};
      auto never = pool.submit([] { never_return(); });
      never.get();
    }};
    ASSERT_TRUE(eventually([] { return (*board)->begun == 1; }));
    const auto worker = ProcessId::of((*board)->pid);
    ASSERT_TRUE(worker);
    owner.kill(signal_number);
    owner.wait();
    EXPECT_TRUE(eventually([&] { return worker->is_dead(); }));
    EXPECT_TRUE(test::await_no_children());
  }
}

}  // namespace
}  // namespace procpool::proc
