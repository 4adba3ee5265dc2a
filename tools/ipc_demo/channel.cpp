#include "ipc/channel.hpp"

#include <unistd.h>

#include <array>
#include <string>

#include "ipc/pipe.hpp"
#include "tools/ipc_demo/links.hpp"
#include "tools/ipc_demo/scenario.hpp"

namespace procpool::demo {
namespace {

using Outcome = ipc::Channel::Outcome;

struct Message {
  std::string words;  // empty: the other side is gone
  std::array<UniqueFd, ipc::Channel::kMostDescriptors> descriptors;
};

Message receive(ipc::Channel& channel) {
  std::array<std::byte, 4096> buffer;
  auto received = channel.receive(buffer);
  return {.words = {reinterpret_cast<const char*>(buffer.data()), received.size},
          .descriptors = std::move(received.descriptors)};
}

void send(ipc::Channel& channel, std::string_view words, std::span<const int> descriptors = {}) {
  channel.send(std::as_bytes(std::span{words}), descriptors);
}

void serve(Stage& stage, ipc::Channel& channel) {
  for (;;) {
    stage.say("waits for a message");
    const Message request = receive(channel);
    if (request.words.empty()) break;
    stage.say("got \"", request.words, "\", whole");
    if (request.descriptors[0].valid()) {
      stage.say("and a descriptor, ", request.descriptors[0].fd(), " here: writes into it");
      write_full(request.descriptors[0].fd(), "hello through your pipe", "pipe");
      continue;
    }
    send(channel, text(request.words.size(), " bytes"));
  }
  stage.say("is told that nobody is left to send, and ends");
}

void ask(Stage& stage, ipc::Channel& channel) {
  const auto peer = ipc::peer_credentials(channel);
  stage.say("the channel was made by process ", peer.pid, " of user ", peer.uid);
  stage.prove("the pid that the kernel gives for the maker", ::getppid(), peer.pid);
  stage.say("sends \"a\", \"bb\" and \"ccc\" at once");
  for (const std::string_view words : {"a", "bb", "ccc"}) send(channel, words);
  std::string answers;
  for (int i = 0; i < 3; ++i) answers += (i == 0 ? "" : ", ") + receive(channel).words;
  stage.say("got three answers, by the same channel: ", answers);
  stage.prove("three messages, three answers", "1 bytes, 2 bytes, 3 bytes", answers);

  auto [reader, writer] = ipc::make_pipe();
  stage.say("makes a pipe, ", writer.fd(), " here, and sends its writing end");
  send(channel, "here, write", {{writer.fd()}});
  writer.close();
  std::array<std::byte, 64> buffer;
  const std::size_t n = reader.read_full(buffer);
  const std::string words{reinterpret_cast<const char*>(buffer.data()), n};
  stage.say("read from it: \"", words, "\"");
  stage.prove("what came through the descriptor", "hello through your pipe", words);
}

void play(Stage& stage) {
  auto [left, right] = ipc::make_channel();
  stage.say("makes a channel and forks a process for each side");
  auto server = stage.enter("server", [&] {
    left.close();
    serve(stage, right);
  });
  right.close();
  stage.await_sleep(server);
  auto client = stage.enter("client", [&] { ask(stage, left); });
  left.close();
  stage.finish(client);
  stage.finish(server);
}

void kill(Stage& stage) {
  auto [left, right] = ipc::make_channel();
  Cue taken;
  Cue second_may_work;
  auto first = stage.enter("worker 1", [&] {
    left.close();
    const Message job = receive(right);
    stage.say("took \"", job.words, "\" and works on it");
    taken.give();
    ::pause();
  });
  auto second = stage.enter("worker 2", [&] {
    left.close();
    second_may_work.await();
    for (;;) {
      const Message job = receive(right);
      stage.say("took \"", job.words, "\", answers");
      send(right, job.words);
    }
  });
  right.close();
  auto client = stage.enter("client", [&] {
    stage.say("sends four jobs to two workers, who share one side of the channel");
    for (int i = 1; i <= 4; ++i) send(left, text("job ", i));
    std::string answered;
    for (Message answer = receive(left); !answer.words.empty(); answer = receive(left)) {
      stage.say("got the answer to \"", answer.words, "\"");
      answered += answer.words + ";";
    }
    stage.say("was told ", stage.ms_since_kill(), " ms after the second kill: nobody is left");
    stage.say("knows by the missing answer: \"job 1\" died with its worker");
    stage.prove("answered: all but what worker 1 held", "job 2;job 3;job 4;", answered);
  });
  left.close();
  taken.await();
  stage.kill(first);
  second_may_work.give();
  stage.await_sleep(second);
  stage.await_sleep(client);
  stage.kill(second);
  stage.finish(client);
}

std::vector<Measurement> bench() {
  return {{"Channel, 64 bytes one way", one_way<ChannelLink>(64)},
          {"send(2) and recv(2), 64 bytes", one_way<RawSocketLink>(64)},
          {"Channel, 4 KiB one way", one_way<ChannelLink>(4096)},
          {"send(2) and recv(2), 4 KiB", one_way<RawSocketLink>(4096)},
          {"Channel, 64 bytes there and back", round_trip<ChannelLink>(64)},
          {"send(2) and recv(2), there and back", round_trip<RawSocketLink>(64)}};
}

}  // namespace

const Scenario channel_scenario{
    .name = "channel",
    .summary = "whole messages and descriptors, both ways",
    .when =
        "Use a channel for requests and answers between processes, and whenever a descriptor "
        "has to change hands. Each message arrives whole at exactly one receiver, in order, and "
        "each side learns at once that the other one is gone. It costs a system call a message; "
        "for millions a second use a queue.",
    .killed = "a worker that holds a job, then the last worker of all",
    .play = play,
    .kill = kill,
    .bench = bench,
};

}  // namespace procpool::demo
