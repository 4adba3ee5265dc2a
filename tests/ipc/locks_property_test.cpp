// Whatever is done with a semaphore or a barrier, in whatever order, and whoever is killed: it is
// as a plain model says.
#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "ipc/barrier.hpp"
#include "ipc/base/deadline.hpp"
#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/bounded_semaphore.hpp"
#include "ipc/pipe.hpp"
#include "ipc/semaphore.hpp"
#include "ipc/shared.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/single_step.hpp"

namespace procpool::ipc {
namespace {

using test::eventually;
using test::Forked;

constexpr std::size_t kActors = 3;
constexpr int kMostSteps = 20;

RC_GTEST_PROP(SemaphoreProperty, counts_like_a_number, ()) {
  const auto first = *rc::gen::inRange<std::uint32_t>(0, 5);
  const auto steps = *rc::gen::container<std::vector<int>>(rc::gen::inRange(-3, 4));
  Semaphore semaphore{first};
  std::uint32_t model = first;
  for (const int step : steps) {
    if (step >= 0) {
      semaphore.release(static_cast<std::uint32_t>(step));
      model += static_cast<std::uint32_t>(step);
    } else {
      RC_ASSERT(semaphore.try_acquire() == (model > 0));
      model -= model > 0 ? 1 : 0;
    }
    RC_ASSERT(semaphore.value() == model);
  }
}

// A process that does as it is told, a byte at a time, and answers each with a byte.
class Actor {
 public:
  using Work = std::function<char(char)>;

  explicit Actor(const Work& work)
      : orders_{make_pipe()}, answers_{make_pipe()}, process_{[&] { obey(work); }} {}

  void tell(char order) { orders_.writer.write_full(std::string_view{&order, 1}); }
  char answer() {  // 0: none comes
    char byte = 0;
    if (wait_ready(answers_.reader.fd(), POLLIN, Deadline::in(test::kPatience)) == 0) return 0;
    answers_.reader.read_full(std::as_writable_bytes(std::span{&byte, 1}));
    return byte;
  }
  char ask(char order) {
    tell(order);
    return answer();
  }
  bool falls_asleep() const {
    return eventually([&] { return test::is_asleep(process_.pid()); });
  }
  void kill() {
    process_.kill(SIGKILL);
    process_.wait();
  }

 private:
  void obey(const Work& work) {
    for (char byte = 0;
         orders_.reader.read_full(std::as_writable_bytes(std::span{&byte, 1})) == 1;) {
      const char answer = work(byte);
      answers_.writer.write_full(std::string_view{&answer, 1});
    }
  }

  Pipe orders_;
  Pipe answers_;
  Forked process_;
};

// As many of them, each replaced when it is killed.
class Cast {
 public:
  explicit Cast(Actor::Work work) : work_{std::move(work)} {
    for (auto& actor : actors_) actor.emplace(work_);
  }
  Actor& operator[](std::size_t which) { return *actors_.at(which); }
  void kill_and_replace(std::size_t which) {
    actors_.at(which)->kill();
    actors_.at(which).emplace(work_);
  }

 private:
  Actor::Work work_;
  std::array<std::optional<Actor>, kActors> actors_;
};

struct Step {
  std::size_t actor;
  char order;
};
std::vector<Step> any_steps(std::string_view orders) {
  const auto step = rc::gen::pair(rc::gen::inRange(std::size_t{0}, kActors),
                                  rc::gen::elementOf(std::string{orders}));
  std::vector<Step> steps;
  for (const auto& [actor, order] : *rc::gen::resize(
           kMostSteps, rc::gen::container<std::vector<std::pair<std::size_t, char>>>(step))) {
    steps.push_back({.actor = actor, .order = order});
  }
  return steps;
}

constexpr char kYes = '+';
constexpr char kNo = '-';
constexpr char kError = '!';

char answer_of(const std::function<char()>& action) {
  try {
    return action();
  } catch (const Error&) {
    return kError;
  }
}

struct Limits {
  BoundedSemaphore permits{3};
};

RC_GTEST_PROP(BoundedSemaphoreProperty, has_what_the_living_do_not_hold, ()) {
  const Shared<Limits> limits;
  Cast cast{[&](char order) {
    return answer_of([&] {
      if (order == 'a') return limits->permits.try_acquire() ? kYes : kNo;
      limits->permits.release();
      return kYes;
    });
  }};
  std::array<std::uint32_t, kActors> held{};
  for (const auto [actor, order] : any_steps("aaarrk")) {
    const auto total = std::accumulate(held.begin(), held.end(), std::uint32_t{0});
    std::uint32_t& own = held.at(actor);
    if (order == 'k') {
      cast.kill_and_replace(actor);
      own = 0;
    } else if (order == 'a') {
      const bool free = total < limits->permits.maximum();
      RC_ASSERT(cast[actor].ask('a') == (free ? kYes : kNo));
      own += free ? 1 : 0;
    } else {
      RC_ASSERT(cast[actor].ask('r') == (own > 0 ? kYes : kError));
      own -= own > 0 ? 1 : 0;
    }
  }
}

struct Meeting {
  Barrier barrier{kActors};
};

// What a barrier is said to be.
class BarrierModel {
 public:
  enum class Who { nobody, alive, dead };
  struct Place {
    Who who = Who::nobody;
    std::size_t actor = 0;
    bool arrived = false;
  };

  bool broken = false;
  std::vector<std::size_t> waiting;  // in the order of their arrival, with the dead among them

  Place* place_of(std::size_t actor) {
    const auto found = std::find_if(places_.begin(), places_.end(), [&](const Place& place) {
      return place.who == Who::alive && place.actor == actor;
    });
    return found == places_.end() ? nullptr : &*found;
  }
  bool is_waiting(std::size_t actor) {
    const Place* const place = place_of(actor);
    return place != nullptr && place->arrived;
  }
  bool misses_somebody() const {
    return std::any_of(places_.begin(), places_.end(),
                       [](const Place& place) { return place.who == Who::dead && !place.arrived; });
  }
  bool attach(std::size_t actor) {
    if (place_of(actor) != nullptr) return false;
    for (Place& place : places_) {
      if (place.who == Who::alive || (place.who == Who::dead && place.arrived)) continue;
      if (place.who == Who::dead) broken = true;
      place = {.who = Who::alive, .actor = actor};
      return true;
    }
    return false;
  }
  void end_round() {
    for (Place& place : places_) place.arrived = false;
    waiting.clear();
  }
  void free_the_dead() {
    for (Place& place : places_) {
      if (place.who == Who::dead) place = {};
    }
  }

 private:
  std::array<Place, kActors> places_;
};

// Orders: attach, detach, wait, kill, abort (x), reset (s).
RC_GTEST_PROP(BarrierProperty, is_as_its_model, ()) {
  constexpr std::size_t kDead = kActors;
  const Shared<Meeting> meeting;
  Barrier& barrier = meeting->barrier;
  Cast cast{[&](char order) {
    return answer_of([&] {
      if (order == 'w') {
        const auto place = barrier.wait();
        return place ? static_cast<char>('0' + *place) : kNo;
      }
      order == 'a' ? barrier.attach() : barrier.detach();
      return kYes;
    });
  }};
  BarrierModel model;
  const auto tell_the_waiting = [&] {
    for (const std::size_t actor : model.waiting) {
      if (actor != kDead) RC_ASSERT(cast[actor].answer() == kNo);
    }
    model.end_round();
  };
  for (const auto [actor, order] : any_steps("aaaaawwwwwdkxs")) {
    auto* const place = model.place_of(actor);
    if (model.is_waiting(actor) && order != 'k' && order != 'x' && order != 's') continue;
    if (order == 'a') {
      RC_ASSERT(cast[actor].ask('a') == (model.attach(actor) ? kYes : kError));
    } else if (order == 'd') {
      RC_ASSERT(cast[actor].ask('d') == (place != nullptr ? kYes : kError));
      if (place != nullptr) *place = {};
    } else if (order == 'k') {
      cast.kill_and_replace(actor);
      if (place != nullptr) place->who = BarrierModel::Who::dead;
      std::replace(model.waiting.begin(), model.waiting.end(), actor, kDead);
    } else if (order == 'x') {
      barrier.abort();
      model.broken = true;
    } else if (order == 's') {
      barrier.reset();
      model.free_the_dead();
      tell_the_waiting();
      model.broken = false;
    } else if (place == nullptr || model.broken) {
      RC_ASSERT(cast[actor].ask('w') == (place == nullptr ? kError : kNo));
    } else {
      cast[actor].tell('w');
      place->arrived = true;
      model.waiting.push_back(actor);
      if (model.waiting.size() == kActors) {
        for (std::size_t i = 0; i < kActors; ++i) {
          const std::size_t who = model.waiting[i];
          if (who != kDead) RC_ASSERT(cast[who].answer() == static_cast<char>('0' + i));
        }
        model.end_round();
      } else if (!model.misses_somebody()) {
        RC_ASSERT(eventually([&] { return barrier.waiting() == model.waiting.size(); }));
        RC_ASSERT(cast[actor].falls_asleep());
      }
    }
    const bool anybody_looks = std::any_of(model.waiting.begin(), model.waiting.end(),
                                           [](std::size_t who) { return who != kDead; });
    if (anybody_looks && model.misses_somebody()) model.broken = true;
    if (model.broken) tell_the_waiting();
    RC_ASSERT(barrier.is_broken() == model.broken);
  }
}

}  // namespace
}  // namespace procpool::ipc
