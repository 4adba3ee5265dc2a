#include "ipc/base/unique_fd.hpp"

#include <fcntl.h>

#include <cerrno>
#include <type_traits>

#include <gtest/gtest.h>

namespace procpool {
namespace {

bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}
UniqueFd open_null() {
  return UniqueFd{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
}

static_assert(!std::is_copy_constructible_v<UniqueFd>);
static_assert(!std::is_convertible_v<UniqueFd, bool>);
static_assert(!std::is_convertible_v<int, UniqueFd>);

TEST(UniqueFd, owns_nothing_at_first) {
  const UniqueFd none;
  EXPECT_FALSE(none.valid());
  EXPECT_EQ(none.fd(), -1);
}

TEST(UniqueFd, closes_what_it_owns) {
  int fd = -1;
  {
    const UniqueFd file = open_null();
    fd = file.fd();
    EXPECT_TRUE(file.valid());
    EXPECT_TRUE(is_open(fd));
  }
  EXPECT_FALSE(is_open(fd));
}

TEST(UniqueFd, gives_away_by_moving) {
  UniqueFd first = open_null();
  const int fd = first.fd();
  const UniqueFd second{std::move(first)};
  // NOLINTNEXTLINE(bugprone-use-after-move,clang-analyzer-cplusplus.Move): that is what is tested
  EXPECT_EQ(first.fd(), -1);
  EXPECT_EQ(second.fd(), fd);
}

TEST(UniqueFd, closes_the_old_when_it_is_assigned_another) {
  UniqueFd file = open_null();
  const int old = file.fd();
  UniqueFd other = open_null();
  const int kept = other.fd();
  file = std::move(other);
  EXPECT_FALSE(is_open(old));
  EXPECT_EQ(file.fd(), kept);
  EXPECT_TRUE(is_open(kept));
}

TEST(UniqueFd, survives_being_assigned_itself) {
  UniqueFd file = open_null();
  const int fd = file.fd();
  UniqueFd& alias = file;
  file = std::move(alias);
  EXPECT_EQ(file.fd(), fd);
  EXPECT_TRUE(is_open(fd));
}

TEST(UniqueFd, releases_without_closing) {
  UniqueFd file = open_null();
  const UniqueFd again{file.release()};
  EXPECT_FALSE(file.valid());
  EXPECT_TRUE(is_open(again.fd()));
}

TEST(UniqueFd, keeps_errno_while_it_closes) {
  errno = EXDEV;
  UniqueFd{::fcntl(0, F_DUPFD_CLOEXEC, 0)}.reset();
  UniqueFd closed_already{1 << 20};
  errno = EXDEV;
  closed_already.reset();
  EXPECT_EQ(errno, EXDEV);
}

}  // namespace
}  // namespace procpool
