#include "ipc/base/owner.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <thread>

#include <gtest/gtest.h>

#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"

namespace procpool {
namespace {

using test::eventually;
using test::Forked;

TEST(Owner, is_another_one_in_every_thread_and_every_child) {
  const Owner me = Owner::this_thread();
  EXPECT_EQ(me.id(), ::gettid());
  EXPECT_EQ(me, Owner::this_thread());
  std::thread{[&] {
    EXPECT_NE(Owner::this_thread(), me);
    EXPECT_EQ(Owner::this_thread().id(), ::gettid());
    EXPECT_EQ(Owner::this_process().id(), ::getpid());
  }}.join();
  Forked child{[&] {
    const bool itself = Owner::this_thread().id() == ::gettid() &&
                        Owner::this_process().id() == ::getpid() && Owner::this_thread() != me;
    return itself ? 0 : 1;
  }};
  EXPECT_EQ(child.wait(), test::exited(0));
}

TEST(Owner, is_told_whatever_flags_stand_beside_it) {
  const Owner me = Owner::this_thread();
  EXPECT_EQ(Owner{me.word() | Owner::kFirstFlag}, me);
  EXPECT_EQ(me.word() & Owner::kFlags, 0U);
}

TEST(Owner, is_dead_as_soon_as_its_process_is_a_zombie) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  Forked child{[&] {
    const Owner me = Owner::this_thread();
    if (::write(ends[1], &me, sizeof me) != sizeof me) return;
    ::pause();
  }};
  Owner owner = kNobody;
  ASSERT_EQ(::read(ends[0], &owner, sizeof owner), static_cast<ssize_t>(sizeof owner));
  ::close(ends[0]);
  ::close(ends[1]);
  EXPECT_FALSE(owner.thread_is_dead());
  EXPECT_FALSE(owner.process_is_dead());
  child.kill(SIGSTOP);
  EXPECT_FALSE(owner.thread_is_dead()) << "a stopped one lives";
  EXPECT_FALSE(owner.process_is_dead());
  child.kill(SIGKILL);
  EXPECT_TRUE(eventually([&] { return child.ended(); }));
  EXPECT_TRUE(owner.thread_is_dead()) << "not reaped yet";
  EXPECT_TRUE(owner.process_is_dead());
  child.wait();
  EXPECT_TRUE(owner.thread_is_dead());
  EXPECT_TRUE(owner.process_is_dead());
}

TEST(Owner, is_dead_when_its_thread_has_ended_though_its_process_lives) {
  Owner owner = kNobody;
  std::thread{[&] { owner = Owner::this_thread(); }}.join();
  EXPECT_TRUE(eventually([&] { return owner.thread_is_dead(); }));
}

TEST(Owner, is_dead_when_a_later_one_has_its_id) {
  const std::uint64_t an_hour_earlier =
      Owner::this_process().word() - (std::uint64_t{360000} << 32U);
  EXPECT_TRUE(Owner{an_hour_earlier}.thread_is_dead());
  EXPECT_TRUE(Owner{an_hour_earlier}.process_is_dead());
}

TEST(Owner, is_told_for_any_word_at_all) {
  EXPECT_TRUE(kNobody.thread_is_dead());
  EXPECT_TRUE(kNobody.process_is_dead());
  EXPECT_TRUE(Owner{~std::uint64_t{0}}.thread_is_dead());
  EXPECT_TRUE(Owner{~std::uint64_t{0}}.process_is_dead());
}

}  // namespace
}  // namespace procpool
