#include "ipc/base/poller.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/pipe.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"

namespace procpool {
namespace {

using namespace std::chrono_literals;
using ipc::make_pipe;
using test::exited;
using test::Forked;
using test::Gate;
using test::kPatience;

using Backend = Poller::Backend;

struct Sockets {
  UniqueFd left;
  UniqueFd right;
};

Sockets make_sockets() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) < 0) {
    throw_errno("socketpair");
  }
  return {UniqueFd{ends[0]}, UniqueFd{ends[1]}};
}

UniqueFd make_event(unsigned value = 0) {
  UniqueFd event{::eventfd(value, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!event.valid()) throw_errno("eventfd");
  return event;
}

template <typename Action>
std::error_code error_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  return {};
}

class PollerTest : public testing::TestWithParam<Backend> {
 protected:
  bool is_epoll() const {
    return GetParam() == Backend::epoll_level || GetParam() == Backend::epoll_edge;
  }
  bool is_edge() const { return GetParam() == Backend::epoll_edge; }

  // The one thing that is ready, as it should be at once.
  Readiness only_one() {
    const auto found = poller_.wait(Deadline::in(kPatience));
    EXPECT_EQ(found.size(), 1U);
    return found.empty() ? Readiness{} : found.front();
  }
  std::size_t ready_now() { return poller_.wait(Deadline::now()).size(); }

  Poller poller_{GetParam()};
};

std::string name_of_case(const testing::TestParamInfo<Backend>& info) {
  std::string name{name_of(info.param)};
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(each, PollerTest,
                         testing::Values(Backend::select, Backend::poll, Backend::epoll_level,
                                         Backend::epoll_edge),
                         name_of_case);

TEST_P(PollerTest, knows_its_back_end) {
  EXPECT_EQ(poller_.backend(), GetParam());
}

TEST_P(PollerTest, reports_what_can_be_read_by_its_token) {
  auto [reader, writer] = make_pipe();
  auto [other_reader, other_writer] = make_pipe();
  poller_.add(reader.fd(), Interest::read, 7);
  poller_.add(other_reader.fd(), Interest::read, 8);
  EXPECT_EQ(ready_now(), 0U);
  other_writer.write_full("x");
  const Readiness ready = only_one();
  EXPECT_EQ(ready.token, 8U);
  EXPECT_TRUE(ready.readable);
  EXPECT_FALSE(ready.writable);
  EXPECT_FALSE(ready.hangup);
}

TEST_P(PollerTest, carries_all_bits_of_a_token) {
  const UniqueFd event = make_event(1);
  poller_.add(event.fd(), Interest::read, UINT64_MAX - 1);
  EXPECT_EQ(only_one().token, UINT64_MAX - 1);
}

TEST_P(PollerTest, waits_no_less_than_until_its_deadline) {
  auto [reader, writer] = make_pipe();
  poller_.add(reader.fd(), Interest::read, 1);
  const auto start = Deadline::Clock::now();
  EXPECT_TRUE(poller_.wait(Deadline::in(30ms)).empty());
  EXPECT_GE(Deadline::Clock::now() - start, 30ms);
}

TEST_P(PollerTest, waits_for_nothing_until_its_deadline) {
  const auto start = Deadline::Clock::now();
  EXPECT_TRUE(poller_.wait(Deadline::in(10ms)).empty());
  EXPECT_GE(Deadline::Clock::now() - start, 10ms);
}

TEST_P(PollerTest, wakes_up_for_what_another_process_writes) {
  auto [reader, writer] = make_pipe();
  poller_.add(reader.fd(), Interest::read, 1);
  Gate gate;
  Forked child{[&, &pipe = writer] {
    gate.wait(Deadline::in(20ms));
    pipe.write_full("x");
  }};
  EXPECT_TRUE(only_one().readable);
  EXPECT_EQ(child.wait(), exited(0));
}

TEST_P(PollerTest, reports_room_to_write) {
  auto [reader, writer] = make_pipe();
  poller_.add(writer.fd(), Interest::write, 1);
  const Readiness ready = only_one();
  EXPECT_TRUE(ready.writable);
  EXPECT_FALSE(ready.readable);
}

TEST_P(PollerTest, does_not_report_a_full_pipe_as_writable) {
  auto [reader, writer] = make_pipe();
  set_blocking(writer.fd(), Blocking::no);
  const std::string page(4096, 'x');
  while (::write(writer.fd(), page.data(), page.size()) > 0) {
  }
  poller_.add(writer.fd(), Interest::write, 1);
  EXPECT_EQ(ready_now(), 0U);
}

TEST_P(PollerTest, reports_both_directions_at_once) {
  auto [left, right] = make_sockets();
  write_full(right.fd(), "x", "socket");
  poller_.add(left.fd(), Interest::read_write, 1);
  const Readiness ready = only_one();
  EXPECT_TRUE(ready.readable);
  EXPECT_TRUE(ready.writable);
}

TEST_P(PollerTest, follows_a_change_of_interest_and_of_token) {
  auto [left, right] = make_sockets();
  poller_.add(left.fd(), Interest::read, 1);
  EXPECT_EQ(ready_now(), 0U);
  poller_.modify(left.fd(), Interest::write, 2);
  const Readiness ready = only_one();
  EXPECT_EQ(ready.token, 2U);
  EXPECT_TRUE(ready.writable);
  poller_.modify(left.fd(), Interest::none, 3);
  EXPECT_EQ(ready_now(), 0U);
}

TEST_P(PollerTest, is_silent_about_what_was_removed) {
  const UniqueFd first = make_event(1);
  const UniqueFd second = make_event(1);
  poller_.add(first.fd(), Interest::read, 1);
  poller_.add(second.fd(), Interest::read, 2);
  poller_.remove(first.fd());
  EXPECT_EQ(only_one().token, 2U);
  poller_.remove(second.fd());
  EXPECT_EQ(ready_now(), 0U);
  poller_.add(first.fd(), Interest::read, 3);
  EXPECT_EQ(only_one().token, 3U);
}

TEST_P(PollerTest, refuses_a_descriptor_that_it_has_already) {
  const UniqueFd event = make_event();
  poller_.add(event.fd(), Interest::read, 1);
  EXPECT_EQ(error_of([&] { poller_.add(event.fd(), Interest::read, 2); }), std::errc::file_exists);
}

TEST_P(PollerTest, refuses_to_change_or_remove_what_it_does_not_have) {
  const UniqueFd event = make_event();
  EXPECT_EQ(error_of([&] { poller_.modify(event.fd(), Interest::read, 1); }),
            std::errc::no_such_file_or_directory);
  EXPECT_EQ(error_of([&] { poller_.remove(event.fd()); }), std::errc::no_such_file_or_directory);
}

TEST_P(PollerTest, refuses_a_descriptor_that_is_none) {
  EXPECT_EQ(error_of([&] { poller_.add(-1, Interest::read, 1); }), std::errc::bad_file_descriptor);
}

TEST_P(PollerTest, reports_the_end_of_a_stream_as_readable) {
  auto [reader, writer] = make_pipe();
  poller_.add(reader.fd(), Interest::read, 1);
  writer.close();
  const Readiness ready = only_one();
  EXPECT_TRUE(ready.readable);
  EXPECT_EQ(ready.hangup, GetParam() != Backend::select);
}

TEST_P(PollerTest, reports_a_half_closed_connection_as_readable) {
  auto [left, right] = make_sockets();
  poller_.add(left.fd(), Interest::read, 1);
  ASSERT_EQ(::shutdown(right.fd(), SHUT_WR), 0);
  const Readiness ready = only_one();
  EXPECT_TRUE(ready.readable);
  EXPECT_FALSE(ready.hangup);
}

TEST_P(PollerTest, reports_a_pipe_that_nobody_reads_as_writable) {
  auto [reader, writer] = make_pipe();
  poller_.add(writer.fd(), Interest::write, 1);
  reader.close();
  const Readiness ready = only_one();
  EXPECT_TRUE(ready.writable);
  EXPECT_EQ(ready.hangup, GetParam() != Backend::select);
}

TEST_P(PollerTest, reports_a_hang_up_also_to_those_who_asked_for_nothing) {
  auto [left, right] = make_sockets();
  poller_.add(left.fd(), Interest::none, 1);
  write_full(right.fd(), "x", "socket");
  EXPECT_EQ(ready_now(), 0U);
  right.reset();
  if (GetParam() == Backend::select) {
    EXPECT_EQ(ready_now(), 0U);
  } else {
    EXPECT_TRUE(only_one().hangup);
  }
}

TEST_P(PollerTest, repeats_itself_unless_it_is_edge_triggered) {
  auto [reader, writer] = make_pipe();
  poller_.add(reader.fd(), Interest::read, 1);
  writer.write_full("x");
  EXPECT_EQ(ready_now(), 1U);
  EXPECT_EQ(ready_now(), is_edge() ? 0U : 1U);
  writer.write_full("y");
  EXPECT_EQ(ready_now(), 1U);
  EXPECT_EQ(ready_now(), is_edge() ? 0U : 1U);
}

TEST_P(PollerTest, reports_what_was_there_before_it_was_added) {
  auto [reader, writer] = make_pipe();
  writer.write_full("x");
  poller_.add(reader.fd(), Interest::read, 1);
  EXPECT_EQ(ready_now(), 1U);
}

TEST_P(PollerTest, lets_nobody_starve_when_more_are_ready_than_it_reports_at_once) {
  constexpr std::size_t kCount = Poller::kMostAtOnce + 50;
  std::vector<UniqueFd> events;
  events.reserve(kCount);
  for (std::size_t i = 0; i < kCount; ++i) {
    events.push_back(make_event(1));
    poller_.add(events.back().fd(), Interest::read, i);
  }
  std::set<std::uint64_t> seen;
  for (int turn = 0; turn < 4 && seen.size() < kCount; ++turn) {
    const auto found = poller_.wait(Deadline::now());
    EXPECT_LE(found.size(), Poller::kMostAtOnce);
    for (const Readiness& ready : found) seen.insert(ready.token);
  }
  EXPECT_EQ(seen.size(), kCount);
}

TEST_P(PollerTest, returns_early_and_empty_after_a_signal_handler_ran) {
  Forked child{[&] {
    struct sigaction action{};
    action.sa_handler = [](int) {};
    ::sigaction(SIGALRM, &action, nullptr);
    Poller own{GetParam()};
    const itimerval often{.it_interval = {0, 5000}, .it_value = {0, 5000}};
    ::setitimer(ITIMER_REAL, &often, nullptr);
    return own.wait(Deadline::never()).empty() ? 0 : 1;
  }};
  EXPECT_EQ(child.wait(), exited(0));
}

TEST_P(PollerTest, has_a_descriptor_to_wait_for_if_it_is_an_epoll) {
  if (!is_epoll()) {
    EXPECT_EQ(poller_.fd(), -1);
    return;
  }
  Poller outer{Backend::poll};
  const UniqueFd event = make_event();
  poller_.add(event.fd(), Interest::read, 1);
  outer.add(poller_.fd(), Interest::read, 2);
  EXPECT_TRUE(outer.wait(Deadline::now()).empty());
  ASSERT_EQ(::eventfd_write(event.fd(), 1), 0);
  EXPECT_EQ(outer.wait(Deadline::in(kPatience)).size(), 1U);
}

TEST_P(PollerTest, goes_on_after_it_was_moved) {
  const UniqueFd event = make_event(1);
  poller_.add(event.fd(), Interest::read, 1);
  Poller moved{std::move(poller_)};
  EXPECT_EQ(moved.wait(Deadline::now()).size(), 1U);
  poller_ = std::move(moved);
  poller_.remove(event.fd());
}

TEST_P(PollerTest, wakes_one_of_many_that_wait_exclusively) {
  constexpr int kWaiters = 4;
  const UniqueFd event = make_event();
  const UniqueFd woken{::eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE)};
  std::vector<Forked> waiters;
  waiters.reserve(kWaiters);
  std::vector<Gate> ready(kWaiters);
  for (Gate& gate : ready) {
    waiters.emplace_back([&] {
      Poller own{GetParam()};
      own.add(event.fd(), Interest::read_exclusive, 1);
      gate.open();
      if (!own.wait(Deadline::never()).empty()) ::eventfd_write(woken.fd(), 1);
      ::pause();
    });
  }
  for (const Gate& gate : ready) gate.wait();
  ASSERT_EQ(::eventfd_write(event.fd(), 1), 0);
  EXPECT_NE(wait_ready(woken.fd(), POLLIN, Deadline::in(kPatience)), 0);
}

TEST_P(PollerTest, does_not_change_an_exclusive_wait_but_removes_it) {
  if (!is_epoll()) return;
  const UniqueFd event = make_event(1);
  poller_.add(event.fd(), Interest::read_exclusive, 1);
  EXPECT_EQ(error_of([&] { poller_.modify(event.fd(), Interest::read, 1); }),
            std::errc::invalid_argument);
  EXPECT_TRUE(only_one().readable);
  poller_.remove(event.fd());
  EXPECT_EQ(ready_now(), 0U);
}

TEST_P(PollerTest, refuses_a_regular_file_if_it_is_an_epoll) {
  const UniqueFd file{::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)};
  if (is_epoll()) {
    EXPECT_EQ(error_of([&] { poller_.add(file.fd(), Interest::read, 1); }),
              std::errc::operation_not_permitted);
  } else {
    poller_.add(file.fd(), Interest::read, 1);
    EXPECT_TRUE(only_one().readable);
  }
}

TEST_P(PollerTest, takes_descriptors_beyond_fd_setsize_unless_it_is_select) {
  Forked child{[&] {
    const rlimit many{.rlim_cur = FD_SETSIZE + 100, .rlim_max = FD_SETSIZE + 100};
    if (::setrlimit(RLIMIT_NOFILE, &many) < 0) throw_errno("setrlimit", "RLIMIT_NOFILE");
    const UniqueFd event = make_event(1);
    const UniqueFd last_allowed{::fcntl(event.fd(), F_DUPFD_CLOEXEC, FD_SETSIZE - 1)};
    const UniqueFd high{::fcntl(event.fd(), F_DUPFD_CLOEXEC, FD_SETSIZE)};
    Poller own{GetParam()};
    own.add(last_allowed.fd(), Interest::read, 1);
    EXPECT_EQ(own.wait(Deadline::now()).size(), 1U);
    own.remove(last_allowed.fd());
    try {
      own.add(high.fd(), Interest::read, 2);
      EXPECT_NE(GetParam(), Backend::select);
      EXPECT_EQ(own.wait(Deadline::now()).size(), 1U);
    } catch (const Error& error) {
      EXPECT_EQ(GetParam(), Backend::select);
      EXPECT_STREQ(error.what(), "select \"descriptor 1024\": not below FD_SETSIZE (1024)");
      EXPECT_EQ(error.code(), std::errc::invalid_argument);
    }
  }};
  EXPECT_EQ(child.wait(), exited(0));
}

TEST(Poller, back_ends_have_names) {
  EXPECT_EQ(name_of(Backend::select), "select");
  EXPECT_EQ(name_of(Backend::poll), "poll");
  EXPECT_EQ(name_of(Backend::epoll_level), "epoll-level");
  EXPECT_EQ(name_of(Backend::epoll_edge), "epoll-edge");
}

}  // namespace
}  // namespace procpool
