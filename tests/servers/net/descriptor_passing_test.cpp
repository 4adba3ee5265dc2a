#include "servers/net/descriptor_passing.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/channel.hpp"
#include "ipc/pipe.hpp"

namespace procpool::net {
namespace {

std::pair<UniqueFd, UniqueFd> make_stream() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) < 0) {
    throw std::runtime_error{"socketpair"};
  }
  return {UniqueFd{ends[0]}, UniqueFd{ends[1]}};
}

TEST(DescriptorPassing, brings_a_descriptor_that_works) {
  const auto [near, far] = make_stream();
  ipc::Pipe pipe = ipc::make_pipe();
  EXPECT_EQ(send_descriptors(near.fd(), "log", {{pipe.writer.fd()}}).bytes, 3U);
  pipe.writer.close();
  std::array<char, 16> buffer;
  DescriptorMessage got = receive_descriptors(far.fd(), buffer);
  ASSERT_EQ(got.descriptors.size(), 1U);
  EXPECT_EQ(std::string(buffer.data(), got.bytes), "log");
  EXPECT_FALSE(got.descriptors_lost);
  write_full(got.descriptors[0].fd(), "through it", "pipe");
  got.descriptors.clear();
  EXPECT_EQ(read_to_end(pipe.reader.fd(), "pipe"), "through it");
}

TEST(DescriptorPassing, works_without_descriptors_and_up_to_the_end) {
  auto [near, far] = make_stream();
  std::array<char, 16> buffer;
  EXPECT_EQ(receive_descriptors(far.fd(), buffer).error, EAGAIN);
  EXPECT_EQ(send_descriptors(near.fd(), "plain", {}).bytes, 5U);
  EXPECT_EQ(receive_descriptors(far.fd(), buffer).bytes, 5U);
  near.reset();
  const DescriptorMessage end = receive_descriptors(far.fd(), buffer);
  EXPECT_EQ(end.bytes, 0U);
  EXPECT_EQ(end.error, 0);
  EXPECT_EQ(send_descriptors(far.fd(), "x", {}).error, EPIPE);
}

TEST(DescriptorPassing, refuses_what_cannot_be_sent) {
  const auto [near, far] = make_stream();
  const std::vector<int> many(kMostDescriptorsAtOnce + 1, near.fd());
  EXPECT_THROW(send_descriptors(near.fd(), "", {}), Error);
  EXPECT_THROW(send_descriptors(near.fd(), "x", many), Error);
  EXPECT_THROW(send_descriptors(-1, "x", {}), Error);
}

TEST(DescriptorPassing, says_who_is_at_the_other_end) {
  const auto [near, far] = make_stream();
  const ipc::PeerCredentials peer = ipc::peer_credentials(near.fd());
  EXPECT_EQ(peer.pid, ::getpid());
  EXPECT_EQ(peer.uid, ::getuid());
}

}  // namespace
}  // namespace procpool::net
