#include "ipc/event.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <vector>

#include "ipc/base/error.hpp"
#include "ipc/base/unique_fd.hpp"
#include "ipc/shared.hpp"
#include "tools/ipc_demo/scenario.hpp"

namespace procpool::demo {
namespace {

struct Gate {
  ipc::Event opened;
  int price = 0;  // written before the event is set
};

void play(Stage& stage) {
  constexpr int kWaiters = 3;
  ipc::Shared<Gate> gate;
  ipc::Shared<std::atomic<int>> came;
  stage.say("makes an event, which is clear, and forks ", kWaiters, " who wait for it");
  std::vector<proc::Process> waiters;
  for (int i = 1; i <= kWaiters; ++i) {
    waiters.push_back(stage.enter(text("waiter ", i), [&] {
      stage.say("waits");
      gate->opened.wait();
      stage.say("goes on, reads the price ", gate->price);
      *came += gate->price;
    }));
  }
  for (auto& waiter : waiters) Stage::await_sleep(waiter);
  stage.say("sees all of them sleep; writes the price 5, and sets the event once");
  gate->price = 5;
  gate->opened.set();
  for (auto& waiter : waiters) stage.finish(waiter);
  stage.prove("all came, and saw what was written before", 5 * kWaiters, came->load());

  auto late = stage.enter("late", [&] {
    gate->opened.wait();
    stage.say("did not wait: it is set still");
  });
  stage.finish(late);
  stage.say("clears it");
  gate->opened.clear();
  auto patient = stage.enter("patient", [&] {
    const bool set = gate->opened.wait_for(std::chrono::milliseconds{20});
    stage.say("waited 20 ms and not longer");
    stage.prove("set after it was cleared", false, set);
  });
  stage.finish(patient);
}

void kill(Stage& stage) {
  ipc::Shared<Gate> gate;
  auto victim = stage.enter("waiter 1", [&] {
    stage.say("waits");
    gate->opened.wait();
  });
  auto survivor = stage.enter("waiter 2", [&] {
    stage.say("waits");
    gate->opened.wait();
    stage.say("goes on ", stage.ms_since_kill(), " ms after the kill");
    stage.prove("the survivor sees the event", true, gate->opened.is_set());
  });
  Stage::await_sleep(victim);
  Stage::await_sleep(survivor);
  stage.kill(victim);
  auto setter = stage.enter("setter", [&] {
    stage.say("sets the event, for those who live");
    gate->opened.set();
    ::pause();
  });
  stage.finish(survivor);
  stage.kill(setter);
  stage.prove("the event is set, though its setter is dead", true, gate->opened.is_set());
}

struct PingPong {
  ipc::Event there;
  ipc::Event back;
};

double by_event() {
  ipc::Shared<PingPong> events;
  const auto pass = [](ipc::Event& to, ipc::Event& from) {
    to.set();
    from.wait();
    from.clear();
  };
  return ns_a_turn([&] { pass(events->there, events->back); },
                   [&] {
                     events->there.wait();
                     events->there.clear();
                     events->back.set();
                   });
}

class EventFd {
 public:
  EventFd() : event_{::eventfd(0, EFD_CLOEXEC)} {
    if (!event_.valid()) throw_errno("eventfd");
  }
  void set() { ::eventfd_write(event_.fd(), 1); }
  void take() {
    eventfd_t value = 0;
    ::eventfd_read(event_.fd(), &value);
  }

 private:
  UniqueFd event_;
};

double by_eventfd() {
  EventFd there;
  EventFd back;
  return ns_a_turn(
      [&] {
        there.set();
        back.take();
      },
      [&] {
        there.take();
        back.set();
      });
}

std::vector<Measurement> bench() {
  ipc::Shared<ipc::Event> set;
  set->set();
  return {{"Event, there and back between two processes", by_event()},
          {"eventfd(2), there and back", by_eventfd()},
          {"Event, wait when it is set", ns_a_call([&] { set->wait(); })},
          {"Event, set and clear", ns_a_call([&] {
             set->set();
             set->clear();
           })}};
}

}  // namespace

const Scenario event_scenario{
    .name = "event",
    .summary = "a flag that any number of processes wait for",
    .when =
        "Use an event to say once, to everybody: ready, start, stop. Whoever waits goes on, and "
        "whoever comes later does not wait, until it is cleared. It carries no data and counts "
        "nothing; for that there are queues and semaphores.",
    .killed = "one of those who wait, then the one who set it",
    .play = play,
    .kill = kill,
    .bench = bench,
};

}  // namespace procpool::demo
