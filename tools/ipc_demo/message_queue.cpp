#include "ipc/message_queue.hpp"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <string>

#include "ipc/base/io.hpp"
#include "proc/signal_source.hpp"
#include "tools/ipc_demo/links.hpp"
#include "tools/ipc_demo/scenario.hpp"

namespace procpool::demo {
namespace {

constexpr ipc::MessageQueueOptions kOptions{.capacity = 4, .message_size = 64};

void send(ipc::MessageQueue& queue, std::string_view words, unsigned priority) {
  queue.send(std::as_bytes(std::span{words}), priority);
}

std::string receive(ipc::MessageQueue& queue) {
  std::array<std::byte, kOptions.message_size> buffer;
  const auto received = queue.receive(buffer);
  return {reinterpret_cast<const char*>(buffer.data()), received.size};
}

void play(Stage& stage) {
  auto queue = ipc::MessageQueue::open(stage.name(), kOptions);
  stage.say("makes the queue ", stage.name(), ", for ", kOptions.capacity, " messages");
  Cue asked;
  auto receiver = stage.enter("receiver", [&] {
    constexpr int kValue = 7;
    proc::SignalSource signals{{SIGUSR1}};
    queue.notify(SIGUSR1, kValue);
    stage.say("asks for SIGUSR1 when a message comes into the empty queue");
    asked.give();
    wait_ready(signals.fd(), POLLIN, Deadline::never());
    const auto signal = signals.try_next();
    stage.say("got ", proc::signal_name(signal->number), " with the value ", signal->value);
    stage.prove("the value of the notification", kValue, signal->value);
  });
  asked.await();
  auto sender = stage.enter("sender", [&] {
    auto by_name = ipc::MessageQueue::open(stage.name());
    stage.say("opens it by name; sends a, b with priority 0, then C with 9, then d with 0");
    send(by_name, "a", 0);
    send(by_name, "b", 0);
    send(by_name, "C", 9);
    send(by_name, "d", 0);
    stage.say("sends e: the queue is full, so it waits");
    send(by_name, "e", 0);
    stage.say("could send it, and ends");
  });
  stage.finish(receiver);
  Stage::await_sleep(sender);
  auto drain = stage.enter("receiver 2", [&] {
    std::string order;
    for (int i = 0; i < 5; ++i) order += receive(queue);
    stage.say("received in the order ", order, ": the urgent one first");
    stage.prove("the order of arrival", "Cabde", order);
  });
  stage.finish(sender);
  stage.finish(drain);
  stage.prove("messages left", 0, queue.attributes().size);
  ipc::MessageQueue::unlink(stage.name());
  stage.say("unlinks the name, which would last until the next boot");
}

void kill(Stage& stage) {
  auto queue = ipc::MessageQueue::open(stage.name(), kOptions);
  auto victim = stage.enter("receiver 1", [&] {
    stage.say("waits in the empty queue");
    receive(queue);
  });
  Stage::await_sleep(victim);
  stage.kill(victim);
  auto survivor = stage.enter("receiver 2", [&] {
    stage.say("waits in the empty queue");
    const std::string words = receive(queue);
    stage.say("got \"", words, "\", ", stage.ms_since_kill(), " ms after the kill");
    stage.prove("what the next receiver gets", "for whoever lives", words);
  });
  Stage::await_sleep(survivor);
  auto sender = stage.enter("sender", [&] {
    stage.say("sends \"for whoever lives\"");
    send(queue, "for whoever lives", 0);
    stage.say("sends three more, and waits to be killed");
    for (int i = 0; i < 3; ++i) send(queue, "sent before the kill", 0);
    ::pause();
  });
  stage.finish(survivor);
  Stage::await_sleep(sender);
  stage.kill(sender);
  std::size_t left = 0;
  std::array<std::byte, kOptions.message_size> buffer;
  while (queue.try_receive(buffer)) ++left;
  stage.say("received ", left, " messages of the dead: the kernel keeps them");
  stage.prove("messages that outlive their sender", 3, left);
  ipc::MessageQueue::unlink(stage.name());
}

std::vector<Measurement> bench() {
  return {{"MessageQueue, 64 bytes one way", one_way<MessageQueueLink>(64)},
          {"mq_send(3) and mq_receive(3), 64 bytes", one_way<RawPosixQueueLink>(64)},
          {"MessageQueue, 64 bytes there and back", round_trip<MessageQueueLink>(64)},
          {"mq_send(3) and mq_receive(3), there and back", round_trip<RawPosixQueueLink>(64)}};
}

}  // namespace

const Scenario message_queue_scenario{
    .name = "mq",
    .summary = "messages with priorities, kept by the kernel",
    .when =
        "Use a POSIX message queue when messages have priorities, when they must outlive both "
        "sender and receiver, or when a program in another language speaks it. A signal can tell "
        "a process that the first message came. It is small (10 messages of 8 KiB, unless root "
        "allows more) and costs system calls, so for bulk use a queue.",
    .killed = "a receiver that waits, then a sender whose messages are not received yet",
    .play = play,
    .kill = kill,
    .bench = bench,
};

}  // namespace procpool::demo
