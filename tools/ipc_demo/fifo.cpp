#include "ipc/fifo.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <string>

#include "ipc/base/error.hpp"
#include "tools/ipc_demo/links.hpp"
#include "tools/ipc_demo/names.hpp"
#include "tools/ipc_demo/scenario.hpp"

namespace procpool::demo {
namespace {

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

std::string read_all(ipc::PipeReader& reader) {
  std::array<std::byte, 256> buffer;
  const std::size_t n = reader.read_full(buffer);
  return {reinterpret_cast<const char*>(buffer.data()), n};
}

void play(Stage& stage) {
  const std::string path = fifo_path(stage.name());
  auto reader = stage.enter("reader", [&] {
    const ipc::Fifo fifo{path};
    stage.say("there was no ", path, ", so made it; waits for somebody to write");
    auto end = fifo.open_reader();
    stage.say("somebody came");
    const std::string words = read_all(*end);
    stage.say("got \"", words, "\", and the end");
    stage.prove("made by the reader", true, fifo.made());
    stage.prove("what came through the name", "hello from a stranger", words);
  });
  Stage::await_sleep(reader);
  auto writer = stage.enter("writer", [&] {
    const ipc::Fifo fifo{path};
    stage.say("knows nothing but the name; opens it to write");
    auto end = fifo.open_writer();
    stage.say("writes \"hello from a stranger\", and ends");
    end->write_full("hello from a stranger");
    stage.prove("made by the writer", false, fifo.made());
  });
  stage.finish(writer);
  stage.finish(reader);
  stage.say("looks: the name is gone with its maker");
  stage.prove("the name is there afterwards", false, exists(path));
}

void kill(Stage& stage) {
  const std::string path = fifo_path(stage.name());
  auto reader = stage.enter("reader", [&] {
    const ipc::Fifo fifo{path};
    stage.say("made ", path, ", waits for somebody to write");
    auto end = fifo.open_reader();
    stage.say("somebody came; reads");
    std::array<std::byte, 64> buffer;
    end->read_some(buffer);
    ::pause();
  });
  Stage::await_sleep(reader);
  Cue written;
  auto writer = stage.enter("writer", [&] {
    const ipc::Fifo fifo{path};
    auto end = fifo.open_writer();
    stage.say("opened it, writes");
    end->write_full("a");
    written.give();
    std::string refusal;
    try {
      for (;;) end->write_full(std::string(4096, 'b'));
    } catch (const Error& error) {
      refusal = error_text(error.code().value());
      stage.say("was told ", stage.ms_since_kill(), " ms after the kill: ", error.what());
    }
    stage.prove("the writer's error", error_text(EPIPE), refusal);
  });
  written.await();
  Stage::await_sleep(reader);
  Stage::await_sleep(writer);
  stage.kill(reader);
  stage.finish(writer);
  stage.prove("the name is left behind", true, exists(path));

  auto next = stage.enter("reader 2", [&] {
    const ipc::Fifo fifo{path};
    stage.say("found the name, which blocks nobody; waits for somebody to write");
    auto end = fifo.open_reader();
    const std::string words = read_all(*end);
    stage.say("got \"", words, "\"");
    stage.prove("what comes through the old name", "again", words);
  });
  Stage::await_sleep(next);
  ipc::Fifo{path}.open_writer()->write_full("again");
  stage.finish(next);
  ::unlink(path.c_str());
  stage.say("removes the name");
}

std::vector<Measurement> bench() {
  return {{"Fifo, 64 bytes one way", one_way<FifoLink>(64)},
          {"read(2) and write(2) on a pipe, 64 bytes", one_way<RawPipeLink>(64)},
          {"Fifo, 64 bytes there and back", round_trip<FifoLink>(64)},
          {"read(2) and write(2) on a pipe, there and back", round_trip<RawPipeLink>(64)}};
}

}  // namespace

const Scenario fifo_scenario{
    .name = "fifo",
    .summary = "a pipe with a name, for processes that are no relatives",
    .when =
        "Use a FIFO when two programs that were started apart, maybe one of them a shell script, "
        "have to pass a stream of bytes. Each end waits for the other one to come, with a "
        "deadline if you like, and permissions on the name say who may. It has one direction "
        "and no messages; a Unix socket has both, and tells who is there.",
    .killed = "the reader, who also made the name; the next one goes on with it",
    .play = play,
    .kill = kill,
    .bench = bench,
};

}  // namespace procpool::demo
