#include "ipc/broadcast.hpp"

#include <unistd.h>

#include <vector>

#include "tools/ipc_demo/links.hpp"
#include "tools/ipc_demo/queue_links.hpp"
#include "tools/ipc_demo/scenario.hpp"

namespace procpool::demo {
namespace {

constexpr std::uint64_t kMessages = 1000;
constexpr std::size_t kCapacity = 16;

using Prices = ipc::Broadcast<std::uint64_t>;

// Reads to the end; `before` messages were seen already, and the last of them had that number.
void read_all(Stage& stage, Prices::Reader reader, std::uint64_t before) {
  std::uint64_t seen = before;
  std::uint64_t out_of_order = 0;
  for (auto price = reader.read(); price; price = reader.read()) {
    if (*price <= before) ++out_of_order;
    before = *price;
    ++seen;
  }
  stage.say("saw ", seen, " messages, missed ", reader.missed());
  stage.prove("seen and missed", kMessages, seen + reader.missed());
  stage.prove("seen in another order", 0, out_of_order);
}

void play(Stage& stage) {
  constexpr std::uint64_t kFirst = 10;
  Prices prices{kCapacity};
  stage.say("makes a broadcast that keeps the last ", kCapacity, " messages");
  Cue caught_up;
  auto fast = stage.enter("fast", [&] {
    stage.say("is a reader, waits for the first message");
    auto reader = prices.make_reader(ipc::ReadFrom::oldest);
    for (std::uint64_t expected = 1; expected <= kFirst; ++expected) reader.read();
    stage.say("saw all of the first ", kFirst, ", missed ", reader.missed());
    stage.prove("missed by a reader who keeps up", 0, reader.missed());
    caught_up.give();
    read_all(stage, reader, kFirst);
  });
  Stage::await_sleep(fast);
  Cue written;
  auto slow = stage.enter("slow", [&] {
    const auto reader = prices.make_reader(ipc::ReadFrom::oldest);
    stage.say("is a reader, too, and does something else first");
    written.await();
    read_all(stage, reader, 0);
  });
  Stage::await_sleep(slow);
  auto writer = stage.enter("writer", [&] {
    auto role = prices.make_writer();
    std::uint64_t price = 0;
    stage.say("publishes ", kFirst, " messages");
    while (price < kFirst) role.publish(++price);
    caught_up.await();
    stage.say("publishes the rest of ", kMessages, " at once, and waits for nobody");
    while (price < kMessages) role.publish(++price);
    stage.say("is ready, closes");
    prices.close();
  });
  stage.finish(writer);
  written.give();
  stage.finish(fast);
  stage.finish(slow);
  stage.prove("published", kMessages, prices.published());
}

void kill(Stage& stage) {
  Prices prices{kCapacity};
  auto reader = stage.enter("reader", [&] {
    auto from_start = prices.make_reader(ipc::ReadFrom::oldest);
    for (std::uint64_t expected = 1; expected <= 2; ++expected) {
      const auto price = from_start.read();
      stage.say("read ", *price, expected == 1 ? ", waits for the next one" : "");
      if (expected == 2)
        stage.say("that was ", stage.ms_since_kill(), " ms after the writer's end");
      stage.prove("a message, in its order", expected, *price);
    }
  });
  auto writer = stage.enter("writer 1", [&] {
    auto role = prices.make_writer();
    role.publish(1);
    stage.say("has published 1, and keeps its role");
    ::pause();
  });
  Stage::await_sleep(writer);
  auto bystander = stage.enter("reader 2", [&] {
    stage.say("reads, too");
    prices.make_reader().read();
  });
  Stage::await_sleep(bystander);
  stage.kill(bystander);
  stage.prove("may another one write while the writer lives", false,
              prices.try_make_writer().has_value());
  auto successor = stage.enter("writer 2", [&] {
    stage.say("waits for the role");
    auto role = prices.make_writer();
    stage.say("has it ", stage.ms_since_kill(), " ms after the kill; publishes 2");
    stage.prove("the successor is told", true, role.took_over());
    role.publish(2);
  });
  Stage::await_sleep(successor);
  stage.kill(writer);
  stage.finish(successor);
  stage.finish(reader);
  stage.prove("roles taken from the dead", 1, prices.takeovers());
}

double by_writer_alone() {
  ipc::Broadcast<Bytes<64>> prices{1024};
  auto writer = prices.make_writer();
  const Bytes<64> price{};
  return ns_a_call([&] { writer.publish(price); });
}

std::vector<Measurement> bench() {
  return {{"Broadcast, publish 64 bytes, nobody waits", by_writer_alone()},
          {"Broadcast, 64 bytes read by one", one_way<BroadcastLink<64>>(64)},
          {"a bare spinning ring, 64 bytes", one_way<BareRingLink>(64)},
          {"Broadcast, there and back", round_trip<BroadcastLink<64>>(64)},
          {"a bare spinning ring, there and back", round_trip<BareRingLink>(64)}};
}

}  // namespace

const Scenario broadcast_scenario{
    .name = "broadcast",
    .summary = "one writer tells many readers, and waits for none",
    .when =
        "Use a broadcast for news that many read and nobody has to keep: prices, positions, "
        "settings. Each reader sees every message in order, or learns how many it missed because "
        "it was slow; the writer never waits. When nothing may be missed, or each message is "
        "for one reader only, use a queue.",
    .killed = "a reader, which nobody notices, then the writer, whose role another one takes",
    .play = play,
    .kill = kill,
    .bench = bench,
};

}  // namespace procpool::demo
