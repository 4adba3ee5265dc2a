// What every model does with its clients, over TCP and Unix sockets.
#include "tests/servers/models/ladder.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"

namespace procpool::models {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::exited;
using test::Forked;
using test::Model;
using test::ModelServer;
using test::Peer;
using test::Transport;

// No two pieces of a power of two are the same.
std::string pattern(std::size_t size) {
  constexpr std::size_t kPeriod = 65'521;
  std::string text(size, '\0');
  std::uint32_t state = 1;
  for (std::size_t i = 0; i < std::min(size, kPeriod); ++i) {
    state = state * 1664525 + 1013904223;
    text[i] = static_cast<char>(state >> 24U);
  }
  for (std::size_t i = kPeriod; i < size; i += kPeriod) {
    text.replace(i, std::min(kPeriod, size - i), text, 0, std::min(kPeriod, size - i));
  }
  return text;
}

// A client who is refused, or cut off because his server is short of something, tries again.
bool is_served(const net::Address& server) {
  return eventually([&] {
    try {
      return Peer{server}.exchange("still there?") == "still there?";
    } catch (const Error&) {
      return false;
    }
  });
}

class EveryModel : public testing::TestWithParam<std::tuple<Model, Transport>> {
 protected:
  const Model& model() const { return std::get<0>(GetParam()); }
  Transport transport() const { return std::get<1>(GetParam()); }
};

TEST_P(EveryModel, echoes_nothing_and_100_MiB) {
  ModelServer server{model(), transport()};
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{65'537}, std::size_t{100} << 20U}) {
    const std::string message = pattern(size);
    const auto echo = Peer{server.address()}.echo(message);
    EXPECT_EQ(echo.size, size);
    EXPECT_TRUE(echo.same);
  }
  EXPECT_EQ(server.stop(), exited(0));
}

TEST_P(EveryModel, serves_200_clients_at_once) {
  constexpr int kClients = 200;
  ModelServer server{model(), transport()};
  std::vector<Peer> peers;
  peers.reserve(kClients);
  for (int i = 0; i < kClients; ++i) {
    peers.emplace_back(server.address()).send("client " + std::to_string(i));
    peers.back().end_sending();
  }
  for (int i = kClients - 1; i >= 0; --i) {
    const std::string expected = "client " + std::to_string(i);
    EXPECT_EQ(peers[static_cast<std::size_t>(i)].receive(100), expected);
  }
  EXPECT_EQ(server.stop(), exited(0));
  if (!model().has_statistics) return;
  EXPECT_EQ(server.statistics().accepted, 200U);
  EXPECT_EQ(server.statistics().active, 0U);
  EXPECT_EQ(server.statistics().messages, 200U);
  EXPECT_EQ(server.statistics().bytes, 90U * 9 + 100U * 10 + 10U * 8);
  EXPECT_EQ(server.statistics().refused + server.statistics().failed, 0U);
}

TEST_P(EveryModel, answers_piece_by_piece_and_after_a_half_close) {
  const ModelServer server{model(), transport()};
  Peer peer{server.address()};
  for (const std::string piece : {"one", "two", "three"}) {
    peer.send(piece);
    EXPECT_EQ(peer.receive(piece.size()), piece);
  }
  peer.send("last");
  peer.end_sending();
  EXPECT_EQ(peer.receive(100), "last");
}

TEST_P(EveryModel, gives_up_on_a_client_that_does_not_read) {
  const ModelServer server{model(), transport(), {.idle = 1s}};
  Peer stuck{server.address(), Peer::Buffers::small};
  EXPECT_GT(stuck.send_until_stuck(), 0U);
  EXPECT_TRUE(is_served(server.address()));
  while (!stuck.receive(1 << 20U).empty()) {
  }
}

TEST_P(EveryModel, closes_a_connection_on_which_nothing_moves) {
  const ModelServer server{model(), transport(), {.idle = 50ms}};
  EXPECT_TRUE(Peer{server.address()}.ended());
  EXPECT_TRUE(is_served(server.address()));
}

TEST_P(EveryModel, goes_on_after_clients_that_reset) {
  const ModelServer server{model(), transport()};
  const std::string much = pattern(100'000);
  for (int i = 0; i < 20; ++i) {
    Peer peer{server.address()};
    peer.send("some");
    if (i % 2 == 0) {
      EXPECT_EQ(peer.receive(4), "some");
    }
    if (i % 3 == 0) peer.send(much);
    peer.reset();
  }
  EXPECT_EQ(Peer{server.address()}.exchange("well?"), "well?");
}

TEST_P(EveryModel, loses_one_connection_by_a_handler_that_throws) {
  const ModelServer server{model(), transport()};
  Peer faulty{server.address()};
  const std::string client = faulty.address();
  faulty.send(test::kThrow);
  EXPECT_TRUE(faulty.ended());
  EXPECT_TRUE(server.logs(client + ": " + std::string{test::kProblem})) << server.log_text();
  EXPECT_EQ(Peer{server.address()}.exchange("well?"), "well?");
  EXPECT_TRUE(server.is_running());
  if (!model().has_statistics) return;
  EXPECT_EQ(server.statistics().failed, 1U);
}

TEST_P(EveryModel, ends_what_is_under_way_when_it_stops) {
  ModelServer server{model(), transport()};
  std::vector<Peer> peers;
  const std::size_t at_once = model().one_after_the_other ? 1 : 8;
  peers.reserve(at_once);
  for (std::size_t i = 0; i < at_once; ++i) peers.emplace_back(server.address());
  for (Peer& peer : peers) {
    peer.send("hello");
    EXPECT_EQ(peer.receive(5), "hello");
  }
  for (Peer& peer : peers) peer.send("bye");
  EXPECT_EQ(server.stop(), exited(0));
  for (Peer& peer : peers) EXPECT_EQ(peer.receive(100), "bye");
}

// Asks again and again, until its server does not answer any more.
int ask_until_the_end(const net::Address& server) {
  try {
    for (;;) {
      Peer peer{server};
      for (int i = 0; i < 20; ++i) {
        const std::string message = "message " + std::to_string(i);
        peer.send(message);
        const std::string answer = peer.receive(message.size());
        if (!message.starts_with(answer)) return 1;
        if (answer.empty()) return 0;
      }
    }
  } catch (const Error&) {  // refused, or reset while it sent
    return 0;
  }
}

TEST_P(EveryModel, stops_during_traffic) {
  ModelServer server{model(), transport()};
  const net::Address address = server.address();
  std::vector<Forked> clients;
  clients.reserve(4);
  for (int i = 0; i < 4; ++i) clients.emplace_back([&] { return ask_until_the_end(address); });
  EXPECT_TRUE(is_served(address));
  EXPECT_EQ(server.stop(), exited(0));
  for (Forked& client : clients) EXPECT_EQ(client.wait(), exited(0));
}

TEST_P(EveryModel, serves_again_after_all_descriptors_were_used) {
  constexpr int kClients = 120;
  const ModelServer server{model(), transport(), {.descriptors = 64}};
  EXPECT_TRUE(is_served(server.address()));
  {
    std::vector<Peer> peers;
    peers.reserve(kClients);
    for (int i = 0; i < kClients; ++i) peers.emplace_back(server.address());
    if (model().has_statistics && !model().one_after_the_other) {
      EXPECT_TRUE(server.logs("oo many open files"));
    }
  }
  EXPECT_TRUE(is_served(server.address()));
  EXPECT_TRUE(server.is_running());
}

TEST_P(EveryModel, serves_no_more_at_once_than_it_may) {
  if (model().has_processes) GTEST_SKIP() << "their limits have tests of their own";
  ModelServer server{model(), transport(), {.max_connections = 4}};
  std::vector<Peer> peers;
  peers.reserve(20);
  for (int i = 0; i < 20; ++i) peers.emplace_back(server.address()).send("hello");
  for (Peer& peer : peers) {
    EXPECT_EQ(peer.receive(5), "hello");
    // Prethread has three threads, each of which may have one more.
    EXPECT_LE(server.statistics().active, 15U);
    peer.end_sending();
    EXPECT_TRUE(peer.ended());
  }
  EXPECT_EQ(server.stop(), exited(0));
}

// One turn of its loop brings the client that takes the last place, and the end of another.
TEST_P(EveryModel, serves_who_waits_when_a_place_is_free_as_soon_as_the_last_is_taken) {
  if (model().has_processes || model().one_after_the_other) GTEST_SKIP() << "has no such turn";
  ModelServer server{model(), transport(), {.max_connections = 2}};
  Peer first{server.address()};
  first.send("first");
  EXPECT_EQ(first.receive(5), "first");
  server.pause();
  const Peer silent{server.address()};
  Peer waiting{server.address()};
  first.end_sending();
  server.resume();
  EXPECT_EQ(waiting.exchange("well?"), "well?");
}

std::string name_of_parameter(
    const testing::TestParamInfo<std::tuple<Model, Transport>>& parameter) {
  const auto& [model, transport] = parameter.param;
  return std::string{model.name} + (transport == Transport::tcp ? "_tcp" : "_unix");
}

INSTANTIATE_TEST_SUITE_P(ladder, EveryModel,
                         testing::Combine(testing::ValuesIn(test::all_models().begin(),
                                                            test::all_models().end()),
                                          testing::Values(Transport::tcp, Transport::unix_stream)),
                         name_of_parameter);

class ModelWithProcesses : public EveryModel {};

TEST_P(ModelWithProcesses, loses_one_process_by_a_handler_that_crashes) {
  const ModelServer server{model(), transport()};
  Peer faulty{server.address()};
  faulty.send(test::kCrash);
  EXPECT_TRUE(faulty.ended());
  EXPECT_TRUE(server.logs("killed by SIGKILL")) << server.log_text();
  EXPECT_TRUE(is_served(server.address()));
  EXPECT_TRUE(server.is_running());
}

std::vector<Model> models_with_processes() {
  std::vector<Model> models;
  for (const Model& model : test::all_models()) {
    if (model.has_processes) models.push_back(model);
  }
  return models;
}

INSTANTIATE_TEST_SUITE_P(ladder, ModelWithProcesses,
                         testing::Combine(testing::ValuesIn(models_with_processes()),
                                          testing::Values(Transport::tcp, Transport::unix_stream)),
                         name_of_parameter);

}  // namespace
}  // namespace procpool::models
