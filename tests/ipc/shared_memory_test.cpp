#include "ipc/shared_memory.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/pipe.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/shared_name.hpp"

namespace procpool::ipc {
namespace {

namespace fs = std::filesystem;
using test::exited;
using test::Forked;
using test::Gate;
using test::killed_by;
using test::shared_name;

constexpr SharedMemory::Layout kLayout{.hash = 1, .size = 5000};
constexpr SharedMemory::Layout kOtherLayout{.hash = 2, .size = 5000};

void put_a(std::byte* at) {
  *at = std::byte{'a'};
}
void put_b(std::byte* at) {
  *at = std::byte{'b'};
}

char first_of(const SharedMemory& memory) {
  return static_cast<char>(*memory.data());
}

fs::path file_of(std::string_view name) {
  return "/dev/shm/procpool." + std::string{name.substr(1)};
}

// The sentence of the Error that an action throws; empty if it throws none.
template <typename Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

bool ends_with(const std::string& text, std::string_view end) {
  return text.ends_with(end);
}

TEST(AnonymousMemory, is_zero_but_for_what_was_put_into_it) {
  const auto memory = SharedMemory::anonymous(kLayout, put_a);
  EXPECT_EQ(memory.size(), 5000U);
  EXPECT_EQ(first_of(memory), 'a');
  EXPECT_TRUE(std::all_of(memory.data() + 1, memory.data() + memory.size(),
                          [](std::byte byte) { return byte == std::byte{0}; }));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory.data()) % SharedMemory::kHeaderSize, 0U);
}

TEST(AnonymousMemory, is_shared_with_children) {
  const auto memory = SharedMemory::anonymous(kLayout, put_a);
  Forked child{[&] { memory.data()[4999] = std::byte{'c'}; }};
  EXPECT_EQ(child.wait(), exited(0));
  EXPECT_EQ(memory.data()[4999], std::byte{'c'});
}

TEST(AnonymousMemory, can_neither_shrink_nor_grow) {
  const auto memory = SharedMemory::anonymous(kLayout, put_a);
  EXPECT_LT(::ftruncate(memory.fd(), 0), 0);
  EXPECT_EQ(errno, EPERM);
  EXPECT_LT(::ftruncate(memory.fd(), 1 << 20), 0);
  EXPECT_EQ(errno, EPERM);
  EXPECT_LT(::fcntl(memory.fd(), F_ADD_SEALS, F_SEAL_WRITE), 0);
  EXPECT_EQ(errno, EPERM);
}

TEST(AnonymousMemory, is_closed_by_exec) {
  const auto memory = SharedMemory::anonymous(kLayout, put_a);
  EXPECT_NE(::fcntl(memory.fd(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(AnonymousMemory, is_gone_when_its_construction_fails) {
  EXPECT_THROW(SharedMemory::anonymous(kLayout, [](std::byte*) { throw std::runtime_error{"x"}; }),
               std::runtime_error);
}

TEST(AnonymousMemory, larger_than_the_machine_is_an_error) {
  EXPECT_NE(error_of([] {
              const auto memory =
                  SharedMemory::anonymous({.hash = 1, .size = SIZE_MAX - 10}, put_a);
            }),
            "");
}

TEST(AnonymousMemory, may_be_moved_and_assigned) {
  auto first = SharedMemory::anonymous(kLayout, put_a);
  auto second = SharedMemory::anonymous(kLayout, put_b);
  SharedMemory moved{std::move(first)};
  EXPECT_EQ(first_of(moved), 'a');
  moved = std::move(second);
  EXPECT_EQ(first_of(moved), 'b');
}

TEST(AttachedMemory, is_the_same_memory) {
  const auto memory = SharedMemory::anonymous(kLayout, put_a);
  const auto same =
      SharedMemory::attach(UniqueFd{::fcntl(memory.fd(), F_DUPFD_CLOEXEC, 0)}, kLayout);
  EXPECT_EQ(first_of(same), 'a');
  *same.data() = std::byte{'z'};
  EXPECT_EQ(first_of(memory), 'z');
}

TEST(AttachedMemory, must_have_the_layout_that_is_expected) {
  const auto memory = SharedMemory::anonymous(kLayout, put_a);
  const auto attach = [&](const SharedMemory::Layout& layout) {
    return error_of(
        [&] { SharedMemory::attach(UniqueFd{::fcntl(memory.fd(), F_DUPFD_CLOEXEC, 0)}, layout); });
  };
  EXPECT_EQ(attach(kLayout), "");
  EXPECT_TRUE(ends_with(attach(kOtherLayout), ": it has another layout"));
  EXPECT_TRUE(ends_with(attach({.hash = 1, .size = 5001}), ": it has another layout"));
}

TEST(AttachedMemory, must_be_a_segment) {
  const auto attach = [](UniqueFd fd) {
    return error_of([&] { SharedMemory::attach(std::move(fd), kLayout); });
  };
  constexpr std::string_view kForeign = ": it is not a segment of procpool";
  EXPECT_TRUE(ends_with(attach(make_pipe().reader.release()), kForeign));
  EXPECT_TRUE(ends_with(attach(UniqueFd{::memfd_create("x", MFD_CLOEXEC)}), kForeign));
  EXPECT_TRUE(ends_with(attach(UniqueFd{}), ": Bad file descriptor"));

  UniqueFd sealed_but_empty{::memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  ASSERT_EQ(::fcntl(sealed_but_empty.fd(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL),
            0);
  EXPECT_TRUE(ends_with(attach(std::move(sealed_but_empty)), kForeign));
}

TEST(AttachedMemory, must_be_sealed_and_as_large_as_it_says) {
  const auto memory = SharedMemory::anonymous(kLayout, put_a);
  const auto copy = [&](std::size_t size, int seals) {
    UniqueFd file{::memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
    const auto* begin = memory.data() - SharedMemory::kHeaderSize;
    write_full(file.fd(), {begin, size}, "memfd");
    if (::fcntl(file.fd(), F_ADD_SEALS, seals) < 0) throw_errno("seal", "memfd");
    return error_of([&] { SharedMemory::attach(std::move(file), kLayout); });
  };
  constexpr std::size_t kWhole = SharedMemory::kHeaderSize + kLayout.size;
  constexpr int kSealed = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  EXPECT_EQ(copy(kWhole, kSealed), "");
  EXPECT_TRUE(ends_with(copy(kWhole - 1, kSealed), ": it is truncated"));
  EXPECT_TRUE(ends_with(copy(kWhole, F_SEAL_GROW), ": it is not a segment of procpool"));
}

TEST(NamedMemory, is_shared_by_those_who_open_it) {
  const auto name = shared_name("memory");
  const auto first = SharedMemory::open(name, kLayout, put_a);
  const auto second = SharedMemory::open(name, kLayout, put_b);
  EXPECT_EQ(first_of(second), 'a') << "constructed once";
  first.data()[100] = std::byte{'x'};
  EXPECT_EQ(second.data()[100], std::byte{'x'});
}

TEST(NamedMemory, is_of_this_user_only_and_has_all_its_pages) {
  const auto name = shared_name("memory");
  const auto memory = SharedMemory::open(name, kLayout, put_a);
  struct stat status{};
  ASSERT_EQ(::stat(file_of(name).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600U);
  EXPECT_GE(status.st_blocks * 512, status.st_size);
}

TEST(NamedMemory, is_removed_by_its_last_user) {
  const auto name = shared_name("memory");
  std::optional<SharedMemory> first{SharedMemory::open(name, kLayout, put_a)};
  std::optional<SharedMemory> second{SharedMemory::open(name, kLayout, put_a)};
  first.reset();
  EXPECT_TRUE(fs::exists(file_of(name)));
  second.reset();
  EXPECT_FALSE(fs::exists(file_of(name)));
  EXPECT_EQ(first_of(SharedMemory::open(name, kLayout, put_b)), 'b') << "a new one";
}

TEST(NamedMemory, is_kept_for_a_child_that_inherited_it) {
  const auto name = shared_name("memory");
  std::optional<SharedMemory> memory{SharedMemory::open(name, kLayout, put_a)};
  Gate gate;
  Forked child{[&] {
    gate.wait();
    memory.reset();
  }};
  memory.reset();
  EXPECT_EQ(first_of(SharedMemory::open(name, kLayout, put_b)), 'a');
  gate.open();
  EXPECT_EQ(child.wait(), exited(0));
  EXPECT_FALSE(fs::exists(file_of(name))) << "the child was the last";
}

TEST(NamedMemory, is_not_removed_by_a_child_while_its_parent_uses_it) {
  const auto name = shared_name("memory");
  std::optional<SharedMemory> memory{SharedMemory::open(name, kLayout, put_a)};
  Forked child{[&] { memory.reset(); }};
  EXPECT_EQ(child.wait(), exited(0));
  EXPECT_EQ(first_of(SharedMemory::open(name, kLayout, put_b)), 'a');
}

TEST(NamedMemory, of_killed_users_is_replaced) {
  const auto name = shared_name("memory");
  Forked user{[&] {
    const auto memory = SharedMemory::open(name, kLayout, put_a);
    *memory.data() = std::byte{'?'};
    ::raise(SIGKILL);
  }};
  EXPECT_EQ(user.wait(), killed_by(SIGKILL));
  EXPECT_TRUE(fs::exists(file_of(name)));
  const auto memory = SharedMemory::open(name, kLayout, put_b);
  EXPECT_EQ(first_of(memory), 'b');
}

TEST(NamedMemory, of_killed_users_is_replaced_also_by_another_layout) {
  const auto name = shared_name("memory");
  Forked user{[&] {
    const auto memory = SharedMemory::open(name, kOtherLayout, put_a);
    ::raise(SIGKILL);
  }};
  user.wait();
  EXPECT_EQ(first_of(SharedMemory::open(name, kLayout, put_b)), 'b');
}

TEST(NamedMemory, in_use_with_another_layout_is_an_error) {
  const auto name = shared_name("memory");
  const auto memory = SharedMemory::open(name, kLayout, put_a);
  const auto error = error_of([&] { SharedMemory::open(name, kOtherLayout, put_b); });
  EXPECT_EQ(error, "open shared memory \"" + file_of(name).string() + "\": it has another layout");
  EXPECT_EQ(first_of(SharedMemory::open(name, kLayout, put_b)), 'a') << "nothing happened to it";
}

TEST(NamedMemory, in_use_and_truncated_is_an_error) {
  const auto name = shared_name("memory");
  const auto memory = SharedMemory::open(name, kLayout, put_a);
  ASSERT_EQ(::truncate(file_of(name).c_str(), 4096), 0);
  EXPECT_TRUE(
      ends_with(error_of([&] { SharedMemory::open(name, kLayout, put_b); }), ": it is truncated"));
  ASSERT_EQ(::truncate(file_of(name).c_str(), 3), 0);
  EXPECT_TRUE(ends_with(error_of([&] { SharedMemory::open(name, kLayout, put_b); }),
                        ": it is not a segment of procpool"));
}

TEST(NamedMemory, does_not_touch_a_file_of_somebody_else) {
  const auto name = shared_name("memory");
  for (const std::string& text : {std::string{}, std::string{"x"}, std::string(100, 'y')}) {
    std::ofstream{file_of(name)} << text;
    EXPECT_TRUE(ends_with(error_of([&] { SharedMemory::open(name, kLayout, put_a); }),
                          ": it is not a segment of procpool"));
    EXPECT_EQ(read_file(file_of(name)), text);
  }
  fs::remove(file_of(name));
}

TEST(NamedMemory, does_not_follow_a_link_or_wait_for_a_fifo) {
  const auto name = shared_name("memory");
  fs::create_symlink("/dev/null", file_of(name));
  EXPECT_NE(error_of([&] { SharedMemory::open(name, kLayout, put_a); }), "");
  fs::remove(file_of(name));
  ASSERT_EQ(::mkfifo(file_of(name).c_str(), 0600), 0);
  EXPECT_TRUE(ends_with(error_of([&] { SharedMemory::open(name, kLayout, put_a); }),
                        ": it is not a segment of procpool"));
  fs::remove(file_of(name));
  fs::create_directory(file_of(name));
  EXPECT_NE(error_of([&] { SharedMemory::open(name, kLayout, put_a); }), "");
  fs::remove(file_of(name));
}

TEST(NamedMemory, of_another_user_is_refused) {
  if (::geteuid() != 0) GTEST_SKIP() << "only the superuser can give a file away";
  const auto name = shared_name("memory");
  const auto memory = SharedMemory::open(name, kLayout, put_a);
  ASSERT_EQ(::chown(file_of(name).c_str(), 54321, 54321), 0);
  EXPECT_TRUE(ends_with(error_of([&] { SharedMemory::open(name, kLayout, put_a); }),
                        ": it belongs to another user"));
}

TEST(NamedMemory, has_a_name_as_in_shm_open) {
  const std::string with_zero{"/a\0b", 4};
  const std::string too_long = "/" + std::string(241, 'x');
  for (const std::string_view name : {"", "/", "name", "/a/b", too_long.c_str()}) {
    EXPECT_TRUE(ends_with(error_of([&] { SharedMemory::open(name, kLayout, put_a); }),
                          "a name is a slash and 1 to 240 characters without one"))
        << name;
  }
  EXPECT_THROW(SharedMemory::open(with_zero, kLayout, put_a), Error);
  const auto longest = shared_name(std::string(200, 'x'));
  EXPECT_EQ(first_of(SharedMemory::open(longest, kLayout, put_a)), 'a');
}

TEST(NamedMemory, leaves_no_name_when_its_construction_fails) {
  const auto name = shared_name("memory");
  EXPECT_THROW(SharedMemory::open(name, kLayout, [](std::byte*) { throw std::runtime_error{"x"}; }),
               std::runtime_error);
  EXPECT_FALSE(fs::exists(file_of(name)));
}

TEST(NamedMemory, that_does_not_fit_is_an_error_and_leaves_no_name) {
  const auto name = shared_name("memory");
  constexpr SharedMemory::Layout kPetabyte{.hash = 1, .size = std::size_t{1} << 50};
  EXPECT_NE(error_of([&] { SharedMemory::open(name, kPetabyte, put_a); }), "");
  EXPECT_FALSE(fs::exists(file_of(name)));
}

TEST(NamedMemory, replaced_under_the_same_name_is_left_alone_by_users_of_the_old) {
  const auto name = shared_name("memory");
  std::optional<SharedMemory> old{SharedMemory::open(name, kLayout, put_a)};
  fs::remove(file_of(name));  // by hand
  const auto replacement = SharedMemory::open(name, kLayout, put_b);
  old.reset();
  EXPECT_EQ(first_of(SharedMemory::open(name, kLayout, put_a)), 'b');
}

// What a killed user leaves, with a byte of the header's boot id changed.
TEST(NamedMemory, of_another_boot_is_replaced) {
  const auto name = shared_name("memory");
  Forked user{[&] {
    const auto memory = SharedMemory::open(name, kLayout, put_a);
    memory.data()[-30] = std::byte{'?'};
    ::raise(SIGKILL);
  }};
  EXPECT_EQ(user.wait(), killed_by(SIGKILL));
  EXPECT_EQ(first_of(SharedMemory::open(name, kLayout, put_b)), 'b');
}

TEST(NamedMemory, that_somebody_holds_over_a_boot_is_an_error) {
  const auto name = shared_name("memory");
  const auto memory = SharedMemory::open(name, kLayout, put_a);
  memory.data()[-30] = std::byte{'?'};
  EXPECT_TRUE(ends_with(error_of([&] { SharedMemory::open(name, kLayout, put_b); }),
                        ": it was made before the machine was booted"));
}

TEST(NamedMemory, has_the_mode_asked_for_whatever_the_umask) {
  const auto name = shared_name("memory");
  const auto memory = SharedMemory::open(name, kLayout, put_a, {.mode = 0666});
  struct stat status{};
  ASSERT_EQ(::stat(file_of(name).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0666U);
}

TEST(NamedMemory, in_use_with_another_mode_is_an_error) {
  const auto name = shared_name("memory");
  const auto memory = SharedMemory::open(name, kLayout, put_a, {.mode = 0660});
  EXPECT_TRUE(ends_with(error_of([&] { SharedMemory::open(name, kLayout, put_b); }),
                        ": it has another mode"));
  for (const mode_t mode : {0400U, 0066U, 0700U, 04600U, 0U}) {
    EXPECT_THROW(SharedMemory::open(name, kLayout, put_b, {.mode = mode}), Error) << mode;
  }
}

// As another user, in a process of its own: only the superuser can do that.
template <typename Action>
void as_another_user(Action action) {
  constexpr uid_t kStranger = 54321;
  Forked stranger{[&] {
    if (::setresgid(kStranger, kStranger, kStranger) < 0) throw_errno("setresgid");
    if (::setresuid(kStranger, kStranger, kStranger) < 0) throw_errno("setresuid");
    action();
  }};
  EXPECT_EQ(stranger.wait(), exited(0));
}

TEST(NamedMemory, is_shared_with_other_users_if_its_mode_is_asked_for) {
  if (::geteuid() != 0) GTEST_SKIP() << "only the superuser can become another user";
  const auto name = shared_name("memory");
  constexpr SharedMemoryOptions kForAll{.mode = 0666};
  const auto memory = SharedMemory::open(name, kLayout, put_a, kForAll);
  as_another_user([&] {
    EXPECT_NE(error_of([&] { SharedMemory::open(name, kLayout, put_b); }), "");
    const auto same = SharedMemory::open(name, kLayout, put_b, kForAll);
    EXPECT_EQ(first_of(same), 'a');
    same.data()[100] = std::byte{'x'};
  });
  EXPECT_EQ(memory.data()[100], std::byte{'x'});
}

// The folder is sticky, so the name is its owner's to remove.
TEST(NamedMemory, of_a_killed_user_is_begun_anew_by_another_one_in_its_place) {
  if (::geteuid() != 0) GTEST_SKIP() << "only the superuser can become another user";
  const auto name = shared_name("memory");
  constexpr SharedMemoryOptions kForAll{.mode = 0666};
  Forked user{[&] {
    const auto memory = SharedMemory::open(name, kOtherLayout, put_a, kForAll);
    memory.data()[100] = std::byte{'x'};
    ::raise(SIGKILL);
  }};
  EXPECT_EQ(user.wait(), killed_by(SIGKILL));
  as_another_user([&] {
    EXPECT_EQ(error_of([&] { SharedMemory::open(name, kLayout, put_b, {.mode = 0660}); }),
              "open shared memory \"" + file_of(name).string() + "\": it has another mode");
    const auto memory = SharedMemory::open(name, kLayout, put_b, kForAll);
    EXPECT_EQ(first_of(memory), 'b');
    EXPECT_EQ(memory.data()[100], std::byte{0});
    EXPECT_EQ(first_of(SharedMemory::open(name, kLayout, put_a, kForAll)), 'b') << "it is in use";
    EXPECT_NE(error_of([&] { SharedMemory::open(name, kOtherLayout, put_a, kForAll); }), "");
  });
  EXPECT_TRUE(fs::exists(file_of(name))) << "a stranger cannot remove it";
  EXPECT_EQ(first_of(SharedMemory::open(name, kLayout, put_a, kForAll)), 'a');
  EXPECT_FALSE(fs::exists(file_of(name)));
}

// In a mount namespace of its own, whose /dev/shm is small.
TEST(NamedMemory, in_a_full_file_system_is_an_error_and_leaves_nothing) {
  Forked child{[] {
    if (::unshare(CLONE_NEWNS) < 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) return 42;
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) return 42;
    if (::mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=128k") < 0) return 42;
    const auto name = shared_name("memory");
    constexpr SharedMemory::Layout kTooLarge{.hash = 1, .size = 256 << 10};
    constexpr SharedMemory::Layout kHalf{.hash = 1, .size = 64 << 10};
    const auto full = std::generic_category().message(ENOSPC);
    EXPECT_TRUE(ends_with(error_of([&] { SharedMemory::open(name, kTooLarge, put_a); }), full));
    EXPECT_TRUE(fs::is_empty("/dev/shm"));
    const auto first = SharedMemory::open(name, kHalf, put_a);
    EXPECT_TRUE(ends_with(error_of([&] { SharedMemory::open(name + "2", kHalf, put_a); }), full));
    std::fill(first.data(), first.data() + first.size(), std::byte{1});  // no SIGBUS
    const SharedMemory moved = SharedMemory::open(name, kHalf, put_b);
    EXPECT_EQ(moved.data()[kHalf.size - 1], std::byte{1});
    return testing::Test::HasFailure() ? 1 : 0;
  }};
  const auto ending = child.wait();
  if (ending == exited(42)) GTEST_SKIP() << "no mount namespace may be made here";
  EXPECT_EQ(ending, exited(0));
}

TEST(AnonymousMemory, with_huge_pages_is_whole_and_sealed_as_others) {
  constexpr SharedMemory::Layout kThreeMebibytes{.hash = 1, .size = 3 << 20};
  const auto memory = SharedMemory::anonymous(kThreeMebibytes, put_a, {.huge_pages = true});
  EXPECT_EQ(memory.size(), kThreeMebibytes.size);
  memory.data()[memory.size() - 1] = std::byte{'z'};
  const auto same =
      SharedMemory::attach(UniqueFd{::fcntl(memory.fd(), F_DUPFD_CLOEXEC, 0)}, kThreeMebibytes);
  EXPECT_EQ(same.data()[same.size() - 1], std::byte{'z'});
  EXPECT_LT(::ftruncate(memory.fd(), 0), 0);
}

TEST(AttachedMemory, may_be_of_any_size_of_its_type) {
  const auto memory = SharedMemory::anonymous(kLayout, put_a);
  const auto copy = [&] { return UniqueFd{::fcntl(memory.fd(), F_DUPFD_CLOEXEC, 0)}; };
  EXPECT_EQ(SharedMemory::attach(copy(), kLayout.hash).size(), kLayout.size);
  EXPECT_THROW(SharedMemory::attach(copy(), kOtherLayout.hash), Error);
}

// A peer that writes rubbish over the header.
TEST(AttachedMemory, whose_header_lies_about_its_size_is_an_error) {
  constexpr std::ptrdiff_t kSizeField = 16 - std::ptrdiff_t{SharedMemory::kHeaderSize};
  for (const std::uint64_t size : {0UL, 1UL, 64UL, 5063UL, 5065UL, 1UL << 40, ~0UL, ~0UL >> 1}) {
    const auto memory = SharedMemory::anonymous(kLayout, put_a);
    std::memcpy(memory.data() + kSizeField, &size, sizeof size);
    EXPECT_THROW(
        SharedMemory::attach(UniqueFd{::fcntl(memory.fd(), F_DUPFD_CLOEXEC, 0)}, kLayout.hash),
        Error)
        << size;
  }
}

}  // namespace
}  // namespace procpool::ipc
