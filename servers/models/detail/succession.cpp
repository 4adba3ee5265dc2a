#include "servers/models/detail/succession.hpp"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <exception>
#include <utility>

#include "ipc/base/error.hpp"

namespace procpool::models::detail {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 60s;

constexpr pid_t kInit = 1;

}  // namespace

Succession::Succession(Loop& loop, Outcomes outcomes)
    : loop_{loop},
      outcomes_{std::move(outcomes)},
      patience_{loop, [this] {
                  end(SIGKILL);
                  outcomes_.failed("the new program is not ready in time");
                }} {}

void Succession::begin(const std::function<NextProgram()>& upgrade,
                       const std::function<Estate(const NextProgram&)>& estate_for) {
  try {
    if (::getpid() == kInit) throw Error{"upgrade", "process 1", "has no place for another one"};
    if (!upgrade) throw Error{"upgrade", "this program", "has no successor"};
    const NextProgram next = upgrade();
    start(next, estate_for(next));
  } catch (const std::exception& error) {
    end(SIGKILL);
    outcomes_.failed(error.what());
  }
}

void Succession::start(const NextProgram& next, const Estate& estate) {
  successor_.emplace(next.argv, next.environment, estate);
  watch_.emplace(loop_, successor_->fd(), Interest::read, [this](const Readiness&) { hear(); });
  patience_.set(Deadline::in(kPatience));
}

void Succession::hear() {
  switch (successor_->step()) {
    case Successor::Outcome::pending:
      return;
    case Successor::Outcome::relieved: {
      const pid_t by = successor_->pid();
      forget();
      return outcomes_.relieved(by);
    }
    case Successor::Outcome::failed: {
      const std::string problem = successor_->problem();
      end(SIGKILL);
      return outcomes_.failed(problem);
    }
  }
}

void Succession::end(int signal_number) {
  if (successor_) successor_->signal(signal_number);
  forget();
}

void Succession::forget() {
  patience_.cancel();
  watch_.reset();
  successor_.reset();
}

}  // namespace procpool::models::detail
