#include <unistd.h>

#include <map>
#include <string>
#include <vector>

#include "ipc/mutex.hpp"
#include "ipc/shared_heap.hpp"
#include "tools/ipc_demo/scenario.hpp"

namespace procpool::demo {
namespace {

constexpr std::size_t kMaximum = std::size_t{1} << 20;
constexpr std::string_view kWords = "words";

using Words = ipc::heap::map<ipc::heap::string, long>;

void count(ipc::SharedHeap& heap, std::string_view word) {
  ipc::HeapAccess access = heap.lock();
  auto& words = access.find_or_construct<Words>(kWords);
  const auto found = words.find(word);
  if (found != words.end()) {
    ++found->second;
  } else {
    words.emplace(word, 1);
  }
}

std::string list(const ipc::SharedHeap& heap) {
  const ipc::HeapView view = heap.view();
  std::string all;
  if (const auto* words = view.find<Words>(kWords)) {
    for (const auto& [word, times] : *words) {
      all += text(all.empty() ? "" : ", ", std::string_view{word}, " ", times);
    }
  }
  return all;
}

void play(Stage& stage) {
  constexpr int kTimes = 1000;
  const auto heap = ipc::SharedHeap::open(stage.name(), kMaximum);
  stage.say("makes the heap ", stage.name(), " of at most ", size_text(kMaximum));
  std::vector<proc::Process> counters;
  for (const std::string_view own : {"pipe", "queue"}) {
    counters.push_back(stage.enter(text("counter ", counters.size() + 1), [&, own] {
      auto mine = ipc::SharedHeap::open(stage.name(), kMaximum);
      stage.say("opens it by name; counts \"", own, "\" and \"process\" ", kTimes,
                " times in a map of strings");
      for (int i = 0; i < kTimes; ++i) {
        count(mine, own);
        count(mine, "process");
      }
      stage.say("is ready");
    }));
  }
  for (auto& counter : counters) stage.finish(counter);
  const std::string words = list(heap);
  stage.say("reads the map: ", words, "; ", heap.view().used(), " bytes are used");
  stage.prove("the map that two processes filled", "pipe 1000, process 2000, queue 1000", words);
}

void kill(Stage& stage) {
  ipc::SharedHeap heap{kMaximum};
  count(heap, "whole");
  auto reader = stage.enter("reader", [&] {
    const ipc::HeapView view = heap.view();
    stage.say("holds the heap to read it");
    ::pause();
  });
  Stage::await_sleep(reader);
  stage.kill(reader);
  stage.say("reads ", list(heap), ": a dead reader changed nothing");
  stage.prove("the map after a reader's death", "whole 1", list(heap));

  auto writer = stage.enter("writer", [&] {
    ipc::HeapAccess access = heap.lock();
    access.find_or_construct<Words>(kWords).emplace("half", 1);
    stage.say("is in the middle of an update");
    ::pause();
  });
  Stage::await_sleep(writer);
  auto survivor = stage.enter("survivor", [&] {
    stage.say("waits for the heap");
    bool told = false;
    try {
      count(heap, "more");
    } catch (const ipc::HeapBroken& broken) {
      told = true;
      stage.say("is told ", stage.ms_since_kill(), " ms after the kill: ", broken.what());
    }
    stage.prove("the survivor is told, and reads no broken tree", true, told);
    heap.reset();
    count(heap, "fresh");
    stage.say("has emptied the heap, and counts again");
  });
  Stage::await_sleep(survivor);
  stage.kill(writer);
  stage.finish(survivor);
  stage.prove("the map afterwards", "fresh 1", list(heap));
}

std::vector<Measurement> bench() {
  ipc::SharedHeap heap{kMaximum};
  ipc::Shared<ipc::Mutex> mutex;
  std::map<std::string, long> plain;
  const std::string word = "a word that is longer than a pointer";
  return {{"SharedHeap, lock, find and change a word", ns_a_call([&] { count(heap, word); })},
          {"std::map under a Mutex, in one process", ns_a_call([&] {
             mutex->lock();
             ++plain[word];
             mutex->unlock();
           })},
          {"SharedHeap, 2 processes at it", ns_a_call_of(2, [&] { count(heap, word); })}};
}

}  // namespace

const Scenario heap_scenario{
    .name = "heap",
    .summary = "maps, vectors and strings in shared memory",
    .when =
        "Use a heap when several processes share what has no fixed size: a table of sessions, a "
        "cache, a list of names. It grows as needed up to its maximum, and any process may lock "
        "it, find a container by name, and use it as it would a standard one. A process killed "
        "in the middle of an update never passes silently, but what was in it is gone.",
    .killed = "one who reads, then one in the middle of an update",
    .play = play,
    .kill = kill,
    .bench = bench,
};

}  // namespace procpool::demo
