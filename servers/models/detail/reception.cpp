#include "servers/models/detail/reception.hpp"

#include <chrono>
#include <list>
#include <utility>

#include "ipc/base/deadline.hpp"
#include "servers/models/detail/listener_acceptor.hpp"

namespace procpool::models::detail {
namespace {

using namespace std::chrono_literals;

// A shortage of descriptors or memory ends without an event that could be waited for.
constexpr auto kPauseWhenShort = 100ms;

// Takes all that wait, at once: there is nobody else to wake.
class Entrance {
 public:
  Entrance(Loop& loop, Intake& intake, const net::Listener& listener)
      : intake_{intake},
        listener_{listener},
        watch_{loop, listener.fd(), Interest::read, [this](const Readiness&) { take(); }} {}

 private:
  void take() {
    while (intake_.at_once() > 0) {
      auto socket = intake_.accept(listener_);
      if (!socket) return;
      intake_.begin(std::move(*socket));
    }
    // There may be room again before this turn is over. Any change makes an edge-triggered epoll
    // tell once more of those who wait.
    watch_.set_interest(Interest::none);
    watch_.set_interest(Interest::read);
  }

  Intake& intake_;
  const net::Listener& listener_;
  Loop::Watch watch_;
};

class OnlyAcceptor final : public Acceptor {
 public:
  OnlyAcceptor(Doors doors, Loop& loop, Intake& intake)
      : doors_{std::move(doors)}, loop_{loop}, intake_{intake} {}

  void open() override {
    entrances_.clear();
    for (const auto& door : doors_) {
      for (const net::Listener* listener : listening(door)) {
        entrances_.emplace_back(loop_, intake_, *listener);
      }
    }
  }
  void close() override { entrances_.clear(); }

 private:
  Doors doors_;
  Loop& loop_;
  Intake& intake_;
  std::list<Entrance> entrances_;
};

}  // namespace

Reception::Reception(Loop& loop, ServerState& server, Doors doors, Uses uses,
                     const MakeAcceptor& make_acceptor)
    : doors_{std::move(doors)},
      uses_{std::move(uses)},
      intake_{Intake::Uses{
                  .begin = uses_.begin,
                  .room = uses_.room,
                  .pause = [this] { pause(); },
                  .complain = [&server](const std::string& problem) { server.complain(problem); },
                  .refused = [&server] { server.statistics.refused.fetch_add(1); }},
              server.options.refusal},
      acceptor_{make_acceptor ? make_acceptor(loop, intake_)
                              : std::make_unique<OnlyAcceptor>(doors_, loop, intake_)},
      look_again_{loop, [this] { open(); }} {}

void Reception::open() {
  accepting_ = uses_.room() > 0;
  if (accepting_) acceptor_->open();
}

void Reception::end_turn() {
  if (closed_) return;
  const bool full = uses_.room() == 0;
  if (full && accepting_) {
    accepting_ = false;
    acceptor_->step_aside();
  } else if (!full && !accepting_ && look_again_.deadline().is_never()) {
    open();
  }
}

void Reception::pause() {
  accepting_ = false;
  acceptor_->close();
  if (!closed_) look_again_.set(Deadline::in(kPauseWhenShort));
}

void Reception::close() {
  closed_ = true;
  look_again_.cancel();
  acceptor_->drain();
  for (const auto& door : doors_) {
    for (const net::Listener* listener : listening(door)) {
      while (uses_.room() > 0) {
        auto socket = intake_.accept(*listener);
        if (!socket) break;
        intake_.begin(std::move(*socket));
      }
    }
  }
}

}  // namespace procpool::models::detail
