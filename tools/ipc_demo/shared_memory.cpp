#include "ipc/shared_memory.hpp"

#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <optional>

#include "ipc/base/futex.hpp"
#include "ipc/channel.hpp"
#include "ipc/mutex.hpp"
#include "ipc/shared.hpp"
#include "tools/ipc_demo/scenario.hpp"

namespace procpool::demo {
namespace {

struct Board {
  ipc::Mutex mutex;
  pid_t maker = 0;
  long number = 0;
};

void play(Stage& stage) {
  stage.say("makes an anonymous segment with a number in it, 1, and forks a child");
  ipc::Shared<Board> inherited;
  inherited->number = 1;
  auto child = stage.enter("child", [&] {
    stage.say("has it by inheritance, reads ", inherited->number, ", writes 2");
    inherited->number = 2;
  });
  stage.finish(child);
  stage.say("reads ", inherited->number);
  stage.prove("anonymous: what the child wrote", 2, inherited->number);

  Cue made;
  Cue read;
  auto maker = stage.enter("maker", [&] {
    auto board = ipc::Shared<Board>::open(stage.name());
    board->number = 42;
    stage.say("opened ", stage.name(), ": there was none, so made it; wrote 42");
    made.give();
    read.await();
    stage.prove("by name: what the stranger wrote back", 43, board->number);
    stage.say("reads ", board->number, ", and is the last one: the name goes with it");
  });
  auto stranger = stage.enter("stranger", [&] {
    made.await();
    {
      auto board = ipc::Shared<Board>::open(stage.name());
      stage.say("opened the same name, reads ", board->number, ", writes one more");
      stage.prove("by name: what the maker wrote", 42, board->number);
      ++board->number;
    }
    read.give();
  });
  stage.finish(stranger);
  stage.finish(maker);

  auto [left, right] = ipc::make_channel();
  auto receiver = stage.enter("receiver", [&] {
    left.close();
    stage.say("waits for a segment");
    std::array<std::byte, 1> buffer;
    auto received = right.receive(buffer);
    auto board = ipc::Shared<Board>::attach(std::move(received.descriptors[0]));
    stage.say("got one as a descriptor, with ", board->number, " in it; writes 8");
    board->number = 8;
  });
  right.close();
  stage.await_sleep(receiver);
  ipc::Shared<Board> sent;
  sent->number = 7;
  stage.say("makes a segment after the fork, writes 7, sends its descriptor over a channel");
  left.send(std::array{std::byte{1}}, {{sent.fd()}});
  stage.finish(receiver);
  stage.prove("by descriptor: what the receiver wrote", 8, sent->number);
}

void kill(Stage& stage) {
  Cue made;
  auto maker = stage.enter("maker", [&] {
    const auto board = ipc::Shared<Board>::open(stage.name());
    board->number = 42;
    stage.say("made ", stage.name(), ", wrote 42");
    made.give();
    ::pause();
  });
  made.await();
  auto survivor = std::optional{ipc::Shared<Board>::open(stage.name())};
  stage.say("has opened it too");
  stage.kill(maker);
  stage.say("reads ", (*survivor)->number, ": a segment lives while anybody has it");
  stage.prove("what the survivor reads", 42, (*survivor)->number);

  Cue opened;
  auto last = stage.enter("last user", [&] {
    const auto board = ipc::Shared<Board>::open(stage.name());
    stage.say("has opened it and reads ", board->number);
    opened.give();
    ::pause();
  });
  opened.await();
  survivor.reset();
  stage.say("lets go of it: the last user has it alone");
  stage.kill(last);
  stage.say("nobody was left to remove the name");
  const auto fresh = ipc::Shared<Board>::open(stage.name());
  stage.say("opened the name again ", stage.ms_since_kill(), " ms after the kill, reads ",
            fresh->number, ": what nobody used was replaced by a new one");
  stage.prove("the number in the new segment", 0, fresh->number);
}

// One process writes 64 bytes and a sequence number, another waits for it awake.
struct Mailbox {
  alignas(64) std::atomic<unsigned> there = 0;
  alignas(64) std::atomic<unsigned> back = 0;
};

double ping_pong(Mailbox& box) {
  return ns_a_turn(
      [&, turn = 0U]() mutable {
        box.there = ++turn;
        while (box.back != turn) spin_pause();
      },
      [&, turn = 0U]() mutable {
        ++turn;
        while (box.there != turn) spin_pause();
        box.back = turn;
      });
}

std::vector<Measurement> bench() {
  constexpr std::size_t kBytes = std::size_t{1} << 20;
  ipc::Shared<Mailbox> shared;
  auto memory = ipc::SharedMemory::anonymous({.hash = 0, .size = kBytes}, [](std::byte*) {});
  std::vector<std::byte> mine(kBytes);
  std::vector<std::byte> also_mine(kBytes);
  return {{"a word there and back, both awake", ping_pong(*shared)},
          {"1 MiB copied into a segment",
           ns_a_call([&] { std::memcpy(memory.data(), mine.data(), kBytes); })},
          {"1 MiB copied within a process",
           ns_a_call([&] { std::memcpy(also_mine.data(), mine.data(), kBytes); })},
          {"Shared<T>, made and unmade", ns_a_call([] { const ipc::Shared<Mailbox> segment; })}};
}

}  // namespace

const Scenario shared_memory_scenario{
    .name = "shm",
    .summary = "the same memory in several processes: inherited, by name, by descriptor",
    .when =
        "Use shared memory for state that several processes read and write, with a lock beside "
        "it. Children inherit an anonymous segment, strangers open one by its name, and a "
        "descriptor brings it over a channel to whomever you choose. Nothing may point into one "
        "process only: no pointers, no std::string; a heap has containers that can be shared.",
    .killed = "the maker of a named segment, then its last user",
    .play = play,
    .kill = kill,
    .bench = bench,
};

}  // namespace procpool::demo
