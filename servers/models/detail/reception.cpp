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

// Takes all that wait, at once: there is nobody else to wake. So it does not matter whether the
// loop is told again of what it has left (edge-triggered epoll does not).
class OnlyAcceptor final : public Acceptor {
 public:
  OnlyAcceptor(Doors doors, Loop& loop, Intake& intake)
      : doors_{std::move(doors)}, loop_{loop}, intake_{intake} {}

  void open() override {
    watches_.clear();
    for (const auto& door : doors_) {
      for (const net::Listener* listener : listening(door)) {
        watches_.emplace_back(loop_, listener->fd(), Interest::read,
                              [this, listener](const Readiness&) { take_from(*listener); });
      }
    }
  }
  void close() override { watches_.clear(); }

 private:
  void take_from(const net::Listener& listener) {
    while (intake_.at_once() > 0) {
      auto socket = intake_.accept(listener);
      if (!socket) return;
      intake_.begin(std::move(*socket));
    }
  }

  Doors doors_;
  Loop& loop_;
  Intake& intake_;
  std::list<Loop::Watch> watches_;
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
