#include "servers/models/datagram_server.hpp"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>

#include <gtest/gtest.h>

#include "ipc/base/io.hpp"
#include "ipc/shared.hpp"
#include "servers/models/error_log.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::models {
namespace {

using test::eventually;
using test::exited;
using test::Forked;
using test::kPatience;

enum class Transport : std::uint8_t { udp, unix_datagram };

std::optional<std::string> answer(std::string_view in, const net::Address&) {
  if (in == "throw") throw std::runtime_error{"somebody asked for an exception"};
  if (in == "crash") ::kill(::getpid(), SIGKILL);
  if (in == "silence") return std::nullopt;
  return std::string{in};
}

class Datagrams : public testing::TestWithParam<std::tuple<PerDatagram, Transport>> {
 protected:
  ~Datagrams() override {
    if (server_.ended()) return;
    server_.kill(SIGINT);
    server_.wait();
  }

  bool has_processes() const { return std::get<0>(GetParam()) == PerDatagram::process; }

  net::DatagramSocket bound(const std::string& name) const {
    const bool is_udp = std::get<1>(GetParam()) == Transport::udp;
    return net::DatagramSocket::bind(
        net::Address::parse(is_udp ? "127.0.0.1:0" : "unix:" + (folder_.path() / name).string()));
  }

  // A datagram may be lost, be it for a full buffer: who wants an answer asks again.
  std::optional<std::string> ask(const net::DatagramSocket& client, std::string_view text) const {
    client.try_send(text, address_);
    std::array<char, 65536> buffer;
    const auto got = client.receive(buffer, Deadline::in(kPatience));
    if (!got) return std::nullopt;
    return std::string{buffer.data(), got->size};
  }

  std::filesystem::path log() const { return folder_.path() / "log"; }
  bool logs(std::string_view text) const {
    return eventually([&] {
      return std::filesystem::exists(log()) && read_file(log()).find(text) != std::string::npos;
    });
  }

  test::TempDir folder_;
  ipc::Shared<Statistics> statistics_;
  net::DatagramSocket socket_ = bound("server");
  net::Address address_ = socket_.address();
  Forked server_{[this] {
    DatagramServer{std::move(socket_),
                   {.per_datagram = std::get<0>(GetParam()),
                    .server = {.max_connections = 8,
                               .statistics = statistics_.get(),
                               .log = make_error_log("test", log())}}}
        .run(answer);
  }};
};

TEST_P(Datagrams, are_answered_whole_up_to_the_largest) {
  const auto client = bound("client");
  EXPECT_EQ(ask(client, ""), "");
  EXPECT_EQ(ask(client, "hello"), "hello");
  const std::string large(60'000, 'x');
  EXPECT_EQ(ask(client, large), large);
  EXPECT_TRUE(eventually([&] { return statistics_->active == 0; }));
  EXPECT_EQ(statistics_->messages, 3U);
  EXPECT_EQ(statistics_->bytes, 60'005U);
}

TEST_P(Datagrams, of_many_clients_are_answered_to_whom_they_came_from) {
  for (int i = 0; i < 50; ++i) {
    const auto client = bound("client" + std::to_string(i));
    const std::string text = "client " + std::to_string(i);
    EXPECT_EQ(ask(client, text), text);
  }
}

TEST_P(Datagrams, need_no_answer) {
  const auto client = bound("client");
  client.try_send("silence", address_);
  EXPECT_EQ(ask(client, "after it"), "after it");
}

TEST_P(Datagrams, lose_one_answer_by_a_handler_that_throws) {
  const auto client = bound("client");
  client.try_send("throw", address_);
  const std::string problem = has_processes() ? "exited with" : "somebody asked for an exception";
  EXPECT_TRUE(logs(client.address().text() + ": " + problem)) << read_file(log());
  EXPECT_EQ(ask(client, "after it"), "after it");
  EXPECT_EQ(statistics_->failed, 1U);
}

TEST_P(Datagrams, lose_one_answer_by_a_process_that_crashes) {
  if (!has_processes()) GTEST_SKIP() << "there it is the server's own";
  const auto client = bound("client");
  client.try_send("crash", address_);
  EXPECT_TRUE(logs(client.address().text() + ": killed by SIGKILL"));
  EXPECT_EQ(ask(client, "after it"), "after it");
}

TEST_P(Datagrams, come_no_more_when_the_server_has_stopped) {
  const auto client = bound("client");
  EXPECT_EQ(ask(client, "hello"), "hello");
  for (int i = 0; i < 20; ++i) client.try_send("more", address_);
  server_.kill(SIGTERM);
  EXPECT_EQ(server_.wait(), exited(0));
}

std::string name_of_parameter(
    const testing::TestParamInfo<std::tuple<PerDatagram, Transport>>& parameter) {
  constexpr std::array kNames{"turn", "thread", "process"};
  const auto& [per_datagram, transport] = parameter.param;
  return std::string{kNames[static_cast<std::size_t>(per_datagram)]} +
         (transport == Transport::udp ? "_udp" : "_unix");
}

INSTANTIATE_TEST_SUITE_P(
    ladder, Datagrams,
    testing::Combine(testing::Values(PerDatagram::turn, PerDatagram::thread, PerDatagram::process),
                     testing::Values(Transport::udp, Transport::unix_datagram)),
    name_of_parameter);

}  // namespace
}  // namespace procpool::models
