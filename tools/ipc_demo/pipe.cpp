#include "ipc/pipe.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "tools/ipc_demo/links.hpp"
#include "tools/ipc_demo/scenario.hpp"

namespace procpool::demo {
namespace {

constexpr std::size_t kMuch = 256 * 1024;

std::string read_once(ipc::PipeReader& reader) {
  std::array<std::byte, 4096> buffer;
  const std::size_t n = reader.read_some(buffer);
  return {reinterpret_cast<const char*>(buffer.data()), n};
}

void play(Stage& stage) {
  auto [reader_end, writer_end] = ipc::make_pipe();
  const int room = ::fcntl(writer_end.fd(), F_GETPIPE_SZ);
  stage.say("makes a pipe, which has room for ", room, " bytes, and forks a reader and a writer");
  Cue two_written;
  Cue first_read;
  Cue second_read;
  Cue drain;
  auto reader = stage.enter("reader", [&] {
    writer_end.close();
    stage.say("reads: the pipe is empty, so it waits");
    const std::string first = read_once(reader_end);
    stage.say("got \"", first, "\"");
    first_read.give();
    two_written.await();
    const std::string joined = read_once(reader_end);
    stage.say("got \"", joined, "\" by one read: a pipe knows bytes and no messages");
    second_read.give();
    drain.await();
    std::vector<std::byte> much(kMuch);
    const std::size_t n = reader_end.read_full(much);
    stage.say("has drained ", n, " bytes");
    stage.say("reads on: waits for more, or for the end");
    const std::string end = read_once(reader_end);
    stage.say("got the end: no process has the writing end any more");
    stage.prove("the first write, read by a waiting reader", "one", first);
    stage.prove("two writes, one read", "twothree", joined);
    stage.prove("bytes that were more than the room", kMuch, n);
    stage.prove("bytes after the end", 0, end.size());
  });
  stage.await_sleep(reader);
  auto writer = stage.enter("writer", [&] {
    reader_end.close();
    stage.say("writes \"one\"");
    writer_end.write_full("one");
    first_read.await();
    stage.say("writes \"two\", then \"three\"");
    writer_end.write_full("two");
    writer_end.write_full("three");
    two_written.give();
    second_read.await();
    stage.say("writes ", kMuch, " bytes: waits as soon as the pipe is full");
    writer_end.write_full(std::vector<std::byte>(kMuch));
    stage.say("could write all of it, and ends, which closes its end");
  });
  writer_end.close();
  reader_end.close();
  second_read.await();
  stage.await_sleep(writer);
  stage.say("sees the writer sleep: it waits for room; lets the reader drain the pipe");
  drain.give();
  stage.finish(writer);
  stage.finish(reader);
}

void kill(Stage& stage) {
  constexpr std::string_view kRecords = "record 1;record 2;reco";  // and then it is killed
  auto [reader_end, writer_end] = ipc::make_pipe();
  auto writer = stage.enter("writer", [&] {
    reader_end.close();
    writer_end.write_full(kRecords);
    stage.say("has written two records and a half: \"", kRecords, "\"");
    ::pause();
  });
  writer_end.close();
  auto reader = stage.enter("reader", [&] {
    std::string all;
    for (std::string some = read_once(reader_end); !some.empty(); some = read_once(reader_end)) {
      stage.say("got \"", some, "\", waits for more");
      all += some;
    }
    stage.say("got the end ", stage.ms_since_kill(), " ms after the kill");
    stage.say("has two records, and \"", all.substr(all.rfind(';') + 1), "\" of a third");
    stage.prove("what was written before the kill", kRecords, all);
  });
  reader_end.close();
  stage.await_sleep(writer);
  stage.await_sleep(reader);
  stage.kill(writer);
  stage.finish(reader);

  auto [victims_end, survivors_end] = ipc::make_pipe();
  auto victim = stage.enter("reader 2", [&] {
    survivors_end.close();
    stage.say("has the only reading end of another pipe, and does not read");
    ::pause();
  });
  victims_end.close();
  auto survivor = stage.enter("writer 2", [&] {
    stage.say("fills the pipe and waits for room");
    int error = 0;
    try {
      survivors_end.write_full(std::vector<std::byte>(kMuch));
    } catch (const Error& refused) {
      error = refused.code().value();
      stage.say("was told ", stage.ms_since_kill(), " ms after the kill: ", refused.what());
    }
    stage.prove("the writer's error when the last reader is dead", error_text(EPIPE),
                error_text(error));
  });
  stage.await_sleep(victim);
  stage.await_sleep(survivor);
  stage.kill(victim);
  stage.finish(survivor);
}

std::vector<Measurement> bench() {
  return {{"Pipe, 64 bytes one way", one_way<PipeLink>(64)},
          {"read(2) and write(2), 64 bytes", one_way<RawPipeLink>(64)},
          {"Pipe, 4 KiB one way", one_way<PipeLink>(4096)},
          {"read(2) and write(2), 4 KiB", one_way<RawPipeLink>(4096)},
          {"Pipe, 64 bytes there and back", round_trip<PipeLink>(64)},
          {"read(2) and write(2), there and back", round_trip<RawPipeLink>(64)}};
}

}  // namespace

const Scenario pipe_scenario{
    .name = "pipe",
    .summary = "a stream of bytes from one process to another",
    .when =
        "Use a pipe for a stream of bytes between related processes: output, logs, a file being "
        "copied. It slows a fast writer down, ends when the last writer is gone, and works with "
        "every program that reads and writes. For messages with borders use a channel or a "
        "queue: after a crash the reader may hold half a record.",
    .killed = "the writer in the middle of a record, then a reader that somebody waits for",
    .play = play,
    .kill = kill,
    .bench = bench,
};

}  // namespace procpool::demo
