#include "ipc/channel.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <optional>
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
#include "tests/support/sanitizers.hpp"

namespace procpool::ipc {
namespace {

using namespace std::chrono_literals;
using test::exited;
using test::Forked;
using test::Gate;

using Outcome = Channel::Outcome;
using SendResult = Channel::SendResult;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text});
}

// A received message as text; "(empty)" and "(closed)" for none.
struct Inbox {
  std::array<std::byte, 4096> buffer;

  std::string text_of(const Channel::Received& received) const {
    if (received.outcome == Outcome::empty) return "(empty)";
    if (received.outcome == Outcome::closed) return "(closed)";
    return {reinterpret_cast<const char*>(buffer.data()), received.size};
  }
  std::string try_receive(Channel& channel) { return text_of(channel.try_receive(buffer)); }
  std::string receive(Channel& channel) { return text_of(channel.receive(buffer)); }
};

template <typename Action>
std::error_code error_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  return {};
}

std::size_t count_descriptors() {
  const std::filesystem::directory_iterator open{"/proc/self/fd"};
  return static_cast<std::size_t>(std::distance(begin(open), end(open)));
}

TEST(Channel, keeps_messages_apart_and_in_order_both_ways) {
  auto [left, right] = make_channel();
  Inbox inbox;
  EXPECT_EQ(left.try_send(bytes_of("one")), SendResult::sent);
  EXPECT_EQ(left.try_send(bytes_of("two")), SendResult::sent);
  EXPECT_EQ(right.try_send(bytes_of("back")), SendResult::sent);
  EXPECT_EQ(inbox.try_receive(right), "one");
  EXPECT_EQ(inbox.try_receive(right), "two");
  EXPECT_EQ(inbox.try_receive(right), "(empty)");
  EXPECT_EQ(inbox.try_receive(left), "back");
}

TEST(Channel, is_closed_when_the_other_side_is_and_all_was_received) {
  auto [left, right] = make_channel();
  Inbox inbox;
  left.try_send(bytes_of("last"));
  left.close();
  EXPECT_EQ(inbox.receive(right), "last");
  EXPECT_EQ(inbox.receive(right), "(closed)");
  EXPECT_EQ(inbox.try_receive(right), "(closed)");
  EXPECT_EQ(right.try_send(bytes_of("x")), SendResult::closed);
  EXPECT_EQ(right.send(bytes_of("x")), SendResult::closed);
}

TEST(Channel, keeps_what_was_sent_by_one_who_left_messages_unread) {
  auto [left, right] = make_channel();
  Inbox inbox;
  right.try_send(bytes_of("never read"));
  left.try_send(bytes_of("first"));
  left.try_send(bytes_of("second"));
  left.close();
  EXPECT_EQ(inbox.try_receive(right), "first");
  EXPECT_EQ(inbox.try_receive(right), "second");
  EXPECT_EQ(inbox.try_receive(right), "(closed)");
}

TEST(Channel, tells_a_sender_at_once_that_a_reader_left_messages_unread) {
  auto [left, right] = make_channel();
  right.try_send(bytes_of("never read"));
  left.close();
  EXPECT_EQ(right.try_send(bytes_of("x")), SendResult::closed);
}

TEST(Channel, is_open_while_any_process_has_the_other_side) {
  auto [left, right] = make_channel();
  Inbox inbox;
  Gate gate;
  const Forked child{[&] { gate.wait(); }};
  left.close();
  EXPECT_EQ(inbox.try_receive(right), "(empty)");
  gate.open();
  EXPECT_EQ(inbox.receive(right), "(closed)");
}

TEST(Channel, is_closed_when_the_other_side_is_killed) {
  auto [left, right] = make_channel();
  Inbox inbox;
  const Forked child{[&, &side = left] {
    side.send(bytes_of("hello"));
    ::raise(SIGKILL);
  }};
  left.close();
  EXPECT_EQ(inbox.receive(right), "hello");
  EXPECT_EQ(inbox.receive(right), "(closed)");
}

TEST(Channel, refuses_an_empty_message) {
  auto [left, right] = make_channel();
  EXPECT_THROW(left.try_send({}), Error);
}

TEST(Channel, reports_a_message_larger_than_the_buffer_and_goes_on) {
  auto [left, right] = make_channel();
  Inbox inbox;
  const UniqueFd event{::eventfd(0, EFD_CLOEXEC)};
  left.try_send(bytes_of("twelve bytes"), {{event.fd()}});
  left.try_send(bytes_of("next"));
  std::array<std::byte, 11> small;
  const std::size_t before = count_descriptors();
  EXPECT_EQ(error_of([&] { right.try_receive(small); }), std::errc::message_size);
  EXPECT_EQ(count_descriptors(), before);
  EXPECT_EQ(inbox.try_receive(right), "next");
}

TEST(Channel, is_full_at_some_time_and_has_room_again) {
  auto [left, right] = make_channel();
  Inbox inbox;
  int sent = 0;
  while (left.try_send(bytes_of("x")) == SendResult::sent) ++sent;
  EXPECT_GT(sent, 10);
  EXPECT_EQ(left.send_until(Deadline::in(20ms), bytes_of("x")), SendResult::full);
  for (int i = 0; i < sent; ++i) EXPECT_EQ(inbox.try_receive(right), "x");
  EXPECT_EQ(inbox.try_receive(right), "(empty)");
  EXPECT_EQ(left.try_send(bytes_of("x")), SendResult::sent);
}

TEST(Channel, sender_waits_for_room) {
  auto [left, right] = make_channel();
  Inbox inbox;
  int sent = 0;
  while (left.try_send(bytes_of("x")) == SendResult::sent) ++sent;
  Forked child{
      [&, &side = left] { return side.send(bytes_of("last")) == SendResult::sent ? 0 : 1; }};
  for (int i = 0; i < sent; ++i) EXPECT_EQ(inbox.receive(right), "x");
  EXPECT_EQ(inbox.receive(right), "last");
  EXPECT_EQ(child.wait(), exited(0));
}

TEST(Channel, receiver_waits_for_a_message_until_its_deadline) {
  auto [left, right] = make_channel();
  Inbox inbox;
  const auto start = Deadline::Clock::now();
  EXPECT_EQ(right.receive_until(Deadline::in(20ms), inbox.buffer).outcome, Outcome::empty);
  EXPECT_GE(Deadline::Clock::now() - start, 20ms);
  const Forked child{[&, &side = left] { side.send(bytes_of("hello")); }};
  EXPECT_EQ(inbox.receive(right), "hello");
}

TEST(Channel, never_changes_the_mode_of_its_descriptor) {
  auto [left, right] = make_channel();
  Inbox inbox;
  left.try_send(bytes_of("x"));
  inbox.try_receive(right);
  inbox.try_receive(right);
  EXPECT_EQ(::fcntl(right.fd(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(right.fd(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(Channel, passes_descriptors_that_are_closed_by_exec) {
  auto [left, right] = make_channel();
  Inbox inbox;
  auto [reader, writer] = make_pipe();
  left.try_send(bytes_of("take it"), {{writer.fd(), reader.fd()}});
  auto received = right.try_receive(inbox.buffer);
  EXPECT_EQ(inbox.text_of(received), "take it");
  ASSERT_EQ(received.descriptor_count, 2U);
  EXPECT_FALSE(received.descriptors_lost);
  EXPECT_FALSE(received.descriptors[2].valid());
  EXPECT_NE(::fcntl(received.descriptors[0].fd(), F_GETFD) & FD_CLOEXEC, 0);
  writer.close();
  PipeWriter passed{std::move(received.descriptors[0])};
  passed.write_full("through");
  passed.close();
  std::array<std::byte, 8> buffer;
  EXPECT_EQ(reader.read_full(buffer), 7U);
}

TEST(Channel, passes_as_many_descriptors_as_it_says_and_no_more) {
  auto [left, right] = make_channel();
  Inbox inbox;
  const std::vector<int> most(Channel::kMostDescriptors, 0);
  left.try_send(bytes_of("all"), most);
  EXPECT_EQ(right.try_receive(inbox.buffer).descriptor_count, Channel::kMostDescriptors);
  const std::vector<int> too_many(Channel::kMostDescriptors + 1, 0);
  EXPECT_THROW(left.try_send(bytes_of("x"), too_many), Error);
}

TEST(Channel, refuses_to_send_a_descriptor_that_is_none) {
  auto [left, right] = make_channel();
  EXPECT_THROW(left.try_send(bytes_of("x"), {{-1}}), Error);
}

void send_many_descriptors(int socket, std::size_t count) {
  std::vector<std::byte> control(CMSG_SPACE(count * sizeof(int)));
  iovec data{.iov_base = const_cast<char*>("x"), .iov_len = 1};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  cmsghdr* item = CMSG_FIRSTHDR(&header);
  item->cmsg_level = SOL_SOCKET;
  item->cmsg_type = SCM_RIGHTS;
  item->cmsg_len = CMSG_LEN(count * sizeof(int));
  std::memset(CMSG_DATA(item), 0, count * sizeof(int));  // descriptor 0, again and again
  ASSERT_EQ(::sendmsg(socket, &header, 0), 1);
}

TEST(Channel, leaks_none_of_the_descriptors_that_are_too_many) {
  auto [left, right] = make_channel();
  Inbox inbox;
  const std::size_t before = count_descriptors();
  for (const std::size_t count : {9U, 10U, 200U}) {
    send_many_descriptors(left.fd(), count);
    const auto received = right.try_receive(inbox.buffer);
    EXPECT_EQ(received.outcome, Outcome::message);
    EXPECT_EQ(received.descriptor_count, Channel::kMostDescriptors);
    EXPECT_TRUE(received.descriptors_lost);
  }
  EXPECT_EQ(count_descriptors(), before);
}

TEST(Channel, says_that_a_full_table_lost_a_descriptor_and_keeps_the_message) {
  auto [left, right] = make_channel();
  left.try_send(bytes_of("take it"), {{0, 1}});
  Forked child{[&, &side = right] {
    const int lowest_free = ::dup(0);
    ::close(lowest_free);
    const auto one_more = static_cast<rlim_t>(lowest_free) + 1;
    const rlimit narrow{.rlim_cur = one_more, .rlim_max = one_more};
    if (::setrlimit(RLIMIT_NOFILE, &narrow) < 0) throw_errno("setrlimit", "RLIMIT_NOFILE");
    Inbox inbox;
    const auto received = side.try_receive(inbox.buffer);
    EXPECT_EQ(inbox.text_of(received), "take it");
    EXPECT_TRUE(received.descriptors_lost);
    EXPECT_EQ(received.descriptor_count, 1U);
  }};
  EXPECT_EQ(child.wait(), exited(0));
}

// Descriptors in flight are counted per user; the superuser is exempt.
TEST(Channel, is_full_when_too_many_descriptors_are_in_flight) {
  Forked child{[] {
    constexpr uid_t kUserWithNothingInFlight = 54321;
    constexpr rlim_t kLimit = 64;
    const rlimit few{.rlim_cur = kLimit, .rlim_max = kLimit};
    if (::setrlimit(RLIMIT_NOFILE, &few) < 0) throw_errno("setrlimit", "RLIMIT_NOFILE");
    if (::geteuid() == 0 && ::setuid(kUserWithNothingInFlight) < 0) throw_errno("setuid");
    auto [left, right] = make_channel();
    std::size_t sent = 0;
    while (left.try_send(bytes_of("x"), {{0}}) == SendResult::sent) ++sent;
    EXPECT_EQ(sent, kLimit + 1);
    EXPECT_EQ(left.try_send(bytes_of("x")), SendResult::sent) << "there is room without one";
    EXPECT_EQ(left.send_until(Deadline::in(10ms), bytes_of("x"), {{0}}), SendResult::full);
    Inbox inbox;
    EXPECT_EQ(inbox.try_receive(right), "x");
    EXPECT_EQ(inbox.try_receive(right), "x");
    EXPECT_EQ(left.try_send(bytes_of("x"), {{0}}), SendResult::sent);
  }};
  EXPECT_EQ(child.wait(), exited(0));
}

TEST(Channel, closes_a_descriptor_whose_receiver_is_killed) {
  auto [left, right] = make_channel();
  auto [reader, writer] = make_pipe();
  Gate received;
  Forked receiver{[&, &side = right] {
    Inbox inbox;
    const auto message = side.receive(inbox.buffer);
    received.open();
    ::pause();
  }};
  left.send(bytes_of("x"), {{writer.fd()}});
  received.wait();
  writer.close();
  EXPECT_EQ(wait_ready(reader.fd(), POLLIN, Deadline::now()), 0) << "the receiver has it";
  receiver.kill(SIGKILL);
  EXPECT_EQ(wait_ready(reader.fd(), POLLIN, Deadline::in(test::kPatience)), POLLHUP);
}

TEST(Channel, closes_descriptors_that_nobody_received) {
  auto [reader, writer] = make_pipe();
  {
    auto [left, right] = make_channel();
    left.send(bytes_of("x"), {{writer.fd()}});
    writer.close();
    EXPECT_EQ(wait_ready(reader.fd(), POLLIN, Deadline::now()), 0);
  }
  EXPECT_NE(wait_ready(reader.fd(), POLLIN, Deadline::in(test::kPatience)), 0);
}

// One side as a queue for many: what is sent by several is received whole, once, by one of several,
// and a killed receiver takes with it no more than one message.
TEST(Channel, gives_each_message_to_one_receiver) {
  constexpr int kSenders = 2;
  constexpr int kReceivers = 4;
  constexpr std::uint32_t kEach = 2000;
  auto [sending, receiving] = make_channel();
  auto [log_reader, log_writer] = make_pipe();
  std::vector<Forked> receivers;
  receivers.reserve(kReceivers);
  for (int i = 0; i < kReceivers; ++i) {
    receivers.emplace_back([&, &in = receiving, &out = sending, &log = log_writer] {
      out.close();
      std::uint32_t number = 0;
      const auto buffer = std::as_writable_bytes(std::span{&number, 1});
      while (in.receive(buffer).outcome == Outcome::message) log.write_full(buffer);
    });
  }
  std::vector<Forked> senders;
  senders.reserve(kSenders);
  for (std::uint32_t first = 0; first < kSenders; ++first) {
    senders.emplace_back([&, first, &out = sending] {
      for (std::uint32_t i = 0; i < kEach; ++i) {
        const std::uint32_t number = first * kEach + i;
        out.send(std::as_bytes(std::span{&number, 1}));
      }
    });
  }
  sending.close();
  receiving.close();
  log_writer.close();
  std::vector<int> times(kSenders * kEach);
  std::uint32_t number = 0;
  std::uint32_t seen = 0;
  while (log_reader.read_full(std::as_writable_bytes(std::span{&number, 1})) == sizeof number) {
    ASSERT_LT(number, times.size());
    EXPECT_EQ(++times[number], 1);
    if (++seen == kEach / 2) receivers.front().kill(SIGKILL);
  }
  EXPECT_GE(seen, times.size() - 1);
  for (Forked& sender : senders) EXPECT_EQ(sender.wait(), exited(0));
}

TEST(Channel, knows_who_made_it) {
  const auto [left, right] = make_channel();
  const PeerCredentials peer = peer_credentials(left);
  EXPECT_EQ(peer.pid, ::getpid());
  EXPECT_EQ(peer.uid, ::getuid());
  EXPECT_EQ(peer.gid, ::getgid());
  EXPECT_THROW(peer_credentials(Channel{UniqueFd{}}), Error);
}

TEST(Channel, may_itself_be_sent_over_a_channel) {
  auto [left, right] = make_channel();
  auto [inner_left, inner_right] = make_channel();
  Inbox inbox;
  left.try_send(bytes_of("x"), {{inner_right.fd()}});
  inner_right.close();
  auto received = right.try_receive(inbox.buffer);
  Channel passed{std::move(received.descriptors[0])};
  inner_left.try_send(bytes_of("inside"));
  EXPECT_EQ(inbox.try_receive(passed), "inside");
}

std::vector<std::byte> pattern(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 31 + i / 256);
  return bytes;
}

TEST(Channel, carries_messages_of_any_size_in_order_with_small_ones) {
  auto [left, right] = make_channel();
  std::vector<std::byte> message;
  const std::size_t before = count_descriptors();
  for (const std::size_t size : {1UL, 31UL, 32UL, 33UL, 65535UL, 65536UL, 65537UL, 1UL << 20}) {
    const auto sent = pattern(size);
    EXPECT_EQ(left.try_send(sent), SendResult::sent);
    left.try_send(bytes_of("next"));
    const auto received = right.try_receive(message);
    EXPECT_EQ(received.outcome, Outcome::message);
    EXPECT_EQ(received.size, size);
    EXPECT_EQ(received.descriptor_count, 0U);
    EXPECT_FALSE(received.descriptors_lost);
    EXPECT_EQ(message, sent);
    Inbox inbox;
    EXPECT_EQ(inbox.try_receive(right), "next");
  }
  EXPECT_EQ(right.try_receive(message).outcome, Outcome::empty);
  EXPECT_TRUE(message.empty());
  left.close();
  EXPECT_EQ(right.receive(message).outcome, Outcome::closed);
  EXPECT_EQ(count_descriptors(), before - 1);
}

TEST(Channel, carries_a_large_message_into_a_buffer_that_is_large_enough) {
  auto [left, right] = make_channel();
  const auto sent = pattern(300'000);
  std::vector<std::byte> buffer(300'000);
  left.send(sent);
  EXPECT_EQ(right.receive(std::span{buffer}).size, sent.size());
  EXPECT_EQ(buffer, sent);
  left.send(sent);
  left.send(bytes_of("next"));
  Inbox inbox;
  EXPECT_EQ(error_of([&] { inbox.receive(right); }), std::errc::message_size);
  std::array<std::byte, 5> smaller_than_a_notice;
  left.send(sent);
  EXPECT_EQ(inbox.receive(right), "next");
  EXPECT_EQ(error_of([&] { right.receive(smaller_than_a_notice); }), std::errc::message_size);
}

TEST(Channel, passes_descriptors_with_large_messages) {
  auto [left, right] = make_channel();
  std::vector<std::byte> message;
  for (std::size_t count = 0; count <= Channel::kMostDescriptors; ++count) {
    auto [reader, writer] = make_pipe();
    left.send(pattern(100'000), std::vector<int>(count, writer.fd()));
    writer.close();
    auto received = right.receive(message);
    EXPECT_EQ(received.descriptor_count, count);
    EXPECT_FALSE(received.descriptors_lost);
    EXPECT_EQ(message.size(), 100'000U);
    if (count > 0) PipeWriter{std::move(received.descriptors[count - 1])}.write_full("through");
    received = {};
    std::array<std::byte, 10> buffer;
    EXPECT_EQ(reader.read_full(buffer), count > 0 ? 7U : 0U) << "all are closed";
  }
}

TEST(Channel, large_message_waits_for_room_and_its_deadline) {
  auto [left, right] = make_channel();
  while (left.try_send(bytes_of("x")) == SendResult::sent) continue;
  EXPECT_EQ(left.try_send(pattern(100'000)), SendResult::full);
  EXPECT_EQ(left.send_until(Deadline::in(20ms), pattern(100'000)), SendResult::full);
  Forked sender{[&, &side = left] { side.send(pattern(100'000)); }};
  left.close();
  std::vector<std::byte> message;
  while (right.receive(message).size == 1) continue;
  EXPECT_EQ(message, pattern(100'000));
  EXPECT_EQ(sender.wait(), exited(0));
}

TEST(Channel, large_message_whose_memory_does_not_fit_into_a_full_table_is_an_error) {
  if (test::kSanitized) GTEST_SKIP() << "the sanitizer probes memory by a pipe";
  auto [left, right] = make_channel();
  left.send(pattern(100'000));
  left.send(bytes_of("next"));
  Forked child{[&, &side = right] {
    const int lowest_free = ::dup(0);
    ::close(lowest_free);
    const auto few = static_cast<rlim_t>(lowest_free) + 3;
    const rlimit narrow{.rlim_cur = few, .rlim_max = few};
    if (::setrlimit(RLIMIT_NOFILE, &narrow) < 0) throw_errno("setrlimit", "RLIMIT_NOFILE");
    std::vector<std::byte> message;
    EXPECT_EQ(error_of([&] { side.receive(message); }), std::errc::too_many_files_open);
    EXPECT_EQ(side.receive(message).size, 4U);
  }};
  EXPECT_EQ(child.wait(), exited(0));
}

// What a hostile peer might send: the notice of a large message with a descriptor that is not what
// it says. The notice itself is learned from a real one.
TEST(Channel, refuses_a_large_message_that_is_not_what_its_sender_says) {
  struct Notice {
    std::array<std::uint64_t, 2> mark;
    std::uint64_t size;
    std::uint64_t descriptor_count;
  };
  auto [left, right] = make_channel();
  left.send(pattern(100'000));
  Notice genuine{};
  ASSERT_EQ(::recv(right.fd(), &genuine, sizeof genuine, 0), ssize_t{sizeof genuine});
  EXPECT_EQ(genuine.size, 100'000U);

  const auto send_notice = [&](const Notice& notice, int descriptor) {
    std::array<int, Channel::kMostDescriptors + 1> descriptors;
    descriptors.fill(descriptor);
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof descriptors)> control{};
    iovec data{.iov_base = const_cast<Notice*>(&notice), .iov_len = sizeof notice};
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* item = CMSG_FIRSTHDR(&header);
    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN(sizeof descriptors);
    std::memcpy(CMSG_DATA(item), descriptors.data(), sizeof descriptors);
    ASSERT_EQ(::sendmsg(left.fd(), &header, 0), ssize_t{sizeof notice});
  };
  constexpr int kSealed = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
  const auto memfd = [](std::size_t size, int seals) {
    UniqueFd file{::memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
    write_full(file.fd(), pattern(size), "memfd");
    if (::fcntl(file.fd(), F_ADD_SEALS, seals) < 0) throw_errno("seal", "memfd");
    return file;
  };
  std::vector<std::byte> message;
  const std::size_t before = count_descriptors();
  const auto refused = [&](const Notice& notice, int descriptor) {
    send_notice(notice, descriptor);
    return error_of([&] { right.receive(message); }) == std::errc::invalid_argument &&
           count_descriptors() >= before;
  };
  const UniqueFd good = memfd(100'000, kSealed);
  Notice notice = genuine;
  notice.descriptor_count = 1U << 30;
  send_notice(notice, good.fd());
  EXPECT_EQ(right.receive(message).descriptor_count, Channel::kMostDescriptors);
  EXPECT_EQ(message, pattern(100'000));
  EXPECT_TRUE(refused(genuine, memfd(100'000, kSealed & ~F_SEAL_SHRINK & ~F_SEAL_SEAL).fd()));
  EXPECT_TRUE(refused(genuine, memfd(99'999, kSealed).fd()));
  EXPECT_TRUE(refused(genuine, left.fd()));
  notice = genuine;
  notice.size = std::uint64_t{1} << 40;
  EXPECT_TRUE(refused(notice, good.fd()));
  const UniqueFd sparse{::memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  ASSERT_EQ(::ftruncate(sparse.fd(), off_t{1} << 40), 0);
  ASSERT_EQ(::fcntl(sparse.fd(), F_ADD_SEALS, kSealed), 0);
  EXPECT_TRUE(refused(notice, sparse.fd())) << "it would cost the receiver more than its sender";
  left.send(bytes_of("next"));
  Inbox inbox;
  EXPECT_EQ(inbox.receive(right), "next") << "and goes on";
}

TEST(Channel, takes_nothing_that_users_send_for_a_large_message) {
  auto [left, right] = make_channel();
  left.send(pattern(100'000));
  std::array<std::byte, 32> notice;
  ASSERT_EQ(::recv(right.fd(), notice.data(), notice.size(), 0), ssize_t{notice.size()});
  const std::vector<int> most(Channel::kMostDescriptors, 0);
  left.send(notice, most);
  std::vector<std::byte> message;
  EXPECT_EQ(right.receive(message).descriptor_count, Channel::kMostDescriptors);
  EXPECT_TRUE(std::ranges::equal(message, notice));
}

struct Point {
  int x;
  double y;
  friend bool operator==(const Point&, const Point&) = default;
};
static_assert(Channel::kIsValue<Point>);
static_assert(!Channel::kIsValue<std::string_view>);
static_assert(!Channel::kIsValue<std::span<std::byte>>);
static_assert(!Channel::kIsValue<std::vector<std::byte>>);

TEST(Channel, carries_values_by_their_codec) {
  auto [left, right] = make_channel();
  const std::string long_text(1'000'000, 'y');
  EXPECT_EQ(left.send(Point{.x = 1, .y = 2.5}), SendResult::sent);
  left.send(std::string{"text"});
  left.send(std::string{});
  left.send(long_text);
  left.try_send(std::vector<int>{1, 2, 3});
  left.send(std::vector<int>{}, {{0}});
  EXPECT_EQ(right.receive<Point>().value, (Point{.x = 1, .y = 2.5}));
  EXPECT_EQ(right.receive<std::string>().value, "text");
  EXPECT_EQ(right.receive<std::string>().value, "");
  EXPECT_EQ(right.receive<std::string>().value, long_text);
  EXPECT_EQ(right.try_receive<std::vector<int>>().value, (std::vector{1, 2, 3}));
  const auto last = right.receive<std::vector<int>>();
  EXPECT_EQ(last.value, std::vector<int>{});
  EXPECT_EQ(last.descriptor_count, 1U);
}

TEST(Channel, without_a_value_says_whether_it_is_empty_or_closed) {
  auto [left, right] = make_channel();
  EXPECT_EQ(right.try_receive<int>().outcome, Outcome::empty);
  EXPECT_EQ(right.receive_until<int>(Deadline::in(10ms)).value, std::nullopt);
  left.close();
  EXPECT_EQ(right.receive<int>().outcome, Outcome::closed);
  EXPECT_EQ(right.receive<int>().value, std::nullopt);
  EXPECT_EQ(right.send(7), SendResult::closed);
}

TEST(Channel, refuses_bytes_that_are_not_such_a_value_and_goes_on) {
  auto [left, right] = make_channel();
  left.send(bytes_of("abc"));
  left.send(8);
  EXPECT_THROW(right.receive<int>(), Error);
  EXPECT_EQ(right.receive<int>().value, 8);
}

TEST(Channel, is_ready_when_it_has_a_message_or_is_closed) {
  auto [left, right] = make_channel();
  EXPECT_FALSE(right.ready());
  left.send(1);
  EXPECT_TRUE(right.ready());
  right.receive<int>();
  EXPECT_FALSE(right.ready());
  left.close();
  EXPECT_TRUE(right.ready());
}

}  // namespace
}  // namespace procpool::ipc
