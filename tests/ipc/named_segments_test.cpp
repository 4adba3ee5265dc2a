#include "ipc/named_segments.hpp"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/shared.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/shared_name.hpp"

namespace procpool::ipc {
namespace {

namespace fs = std::filesystem;
using test::Forked;
using test::Gate;
using test::shared_name;

struct Numbers {
  long first = 1;
  long second = 2;
};

fs::path file_of(std::string_view name) {
  return "/dev/shm/procpool." + std::string{name.substr(1)};
}

std::optional<NamedSegment> find(std::string_view name) {
  const auto segments = list_named_segments();
  const auto found = std::ranges::find(segments, name, &NamedSegment::name);
  if (found == segments.end()) return std::nullopt;
  return *found;
}

void leave_a_dead_one(std::string_view name) {
  Forked user{[&] {
    const auto numbers = Shared<Numbers>::open(name);
    ::raise(SIGKILL);
  }};
  user.wait();
}

TEST(NamedSegments, are_listed_with_their_users) {
  const auto name = shared_name("listed");
  EXPECT_EQ(find(name), std::nullopt);
  const auto numbers = Shared<Numbers>::open(name);
  Gate opened;
  const Forked other{[&] {
    const auto same = Shared<Numbers>::open(name);
    opened.open();
    ::pause();
  }};
  opened.wait();
  const auto segment = find(name);
  ASSERT_TRUE(segment.has_value());
  EXPECT_EQ(segment->size, SharedMemory::kHeaderSize + sizeof(Numbers));
  EXPECT_EQ(segment->owner, ::geteuid());
  EXPECT_EQ(segment->mode, 0600U);
  std::vector<pid_t> users{::getpid(), other.pid()};
  std::ranges::sort(users);
  EXPECT_EQ(segment->users, users);
  EXPECT_TRUE(segment->locked);
  EXPECT_TRUE(segment->in_use());
}

TEST(NamedSegments, of_killed_users_are_listed_and_may_be_removed) {
  const auto name = shared_name("dead");
  leave_a_dead_one(name);
  const auto segment = find(name);
  ASSERT_TRUE(segment.has_value());
  EXPECT_TRUE(segment->users.empty());
  EXPECT_FALSE(segment->in_use());
  EXPECT_TRUE(remove_named_segment(name));
  EXPECT_FALSE(fs::exists(file_of(name)));
  EXPECT_EQ(find(name), std::nullopt);
}

TEST(NamedSegments, in_use_are_not_removed) {
  const auto name = shared_name("used");
  const auto numbers = Shared<Numbers>::open(name);
  EXPECT_FALSE(remove_named_segment(name));
  EXPECT_TRUE(fs::exists(file_of(name)));
}

TEST(NamedSegments, are_not_what_others_put_there) {
  const auto name = shared_name("foreign");
  std::ofstream{file_of(name)} << std::string(1000, 'x');
  EXPECT_EQ(find(name), std::nullopt);
  EXPECT_THROW(remove_named_segment(name), Error);
  EXPECT_TRUE(fs::exists(file_of(name)));
  fs::remove(file_of(name));
  ASSERT_EQ(::mkfifo(file_of(name).c_str(), 0600), 0);
  EXPECT_EQ(find(name), std::nullopt);
  EXPECT_THROW(remove_named_segment(name), Error);
  fs::remove(file_of(name));
}

TEST(NamedSegments, that_are_not_there_cannot_be_removed) {
  EXPECT_THROW(remove_named_segment(shared_name("none")), Error);
  EXPECT_THROW(remove_named_segment("no slash"), Error);
}

}  // namespace
}  // namespace procpool::ipc
