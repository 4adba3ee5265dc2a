#include "servers/models/detail/succession.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/pipe.hpp"
#include "proc/detached.hpp"

namespace procpool::models::detail {
namespace {

using namespace std::chrono_literals;
using proc::Redirection;

constexpr auto kPatience = 60s;

constexpr pid_t kInit = 1;

// What is there now, without the end of the last line.
std::string text_in(const UniqueFd& pipe) {
  std::array<char, 4096> buffer;
  set_blocking(pipe.fd(), Blocking::no);
  const ssize_t n = retry_eintr([&] { return ::read(pipe.fd(), buffer.data(), buffer.size()); });
  std::string text{buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(n, 0))};
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

}  // namespace

Succession::Succession(Loop& loop, Outcomes outcomes)
    : loop_{loop}, outcomes_{std::move(outcomes)}, patience_{loop, [this] {
                                                               fail(
                                                                   "the new program is not ready "
                                                                   "in time");
                                                             }} {}

void Succession::begin(const std::function<NextProgram()>& upgrade, EstateFor estate_for) {
  try {
    if (!upgrade) throw Error{"upgrade", "this program", "has no successor"};
    NextProgram next = upgrade();
    if (::getpid() != kInit) return start(next, estate_for(next));
    if (next.trial.empty()) execute_successor(next, estate_for(next));
    try_out(std::move(next), std::move(estate_for));
  } catch (const std::exception& error) {
    fail(error.what());
  }
}

void Succession::start(const NextProgram& next, const Estate& estate) {
  successor_.emplace(next.argv, next.environment, estate);
  watch_.emplace(loop_, successor_->fd(), Interest::read, [this](const Readiness&) { hear(); });
  patience_.set(Deadline::in(kPatience));
}

// As an orphan, which process 1 adopts: so its end is told by whoever reaps the others.
void Succession::try_out(NextProgram next, EstateFor estate_for) {
  auto [said, says] = ipc::make_pipe();
  const ProcessId process = proc::spawn_detached(
      next.trial,
      {.name = "trial",
       .redirections = {Redirection::null(0), Redirection::null(1), Redirection::fd(2, says.fd())},
       .environment = next.environment});
  trial_.emplace(Trial{.next = std::move(next),
                       .estate_for = std::move(estate_for),
                       .said = said.release(),
                       .pid = process.pid,
                       .pidfd = open_pidfd(process.pid)});
  patience_.set(Deadline::in(kPatience));
}

void Succession::look_at(const std::vector<proc::Stranger>& ended) {
  if (!trial_) return;
  const auto found = std::ranges::find(ended, trial_->pid, &proc::Stranger::pid);
  if (found == ended.end()) return;
  const Trial trial = *std::exchange(trial_, std::nullopt);
  forget();
  execute(trial, found->status);
}

void Succession::execute(const Trial& trial, const proc::ExitStatus& status) {
  try {
    if (!status.success()) {
      const std::string said = text_in(trial.said);
      throw Error{"upgrade", trial.next.trial.front(), said.empty() ? status.text() : said};
    }
    execute_successor(trial.next, trial.estate_for(trial.next));
  } catch (const std::exception& error) {
    fail(error.what());
  }
}

pid_t Succession::pid() const noexcept {
  return successor_ ? successor_->pid() : trial_->pid;
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
    case Successor::Outcome::failed:
      return fail(std::string{successor_->problem()});
  }
}

void Succession::fail(const std::string& problem) {
  end(SIGKILL);
  outcomes_.failed(problem);
}

void Succession::end(int signal_number) {
  if (successor_) successor_->signal(signal_number);
  if (trial_) send_signal(trial_->pidfd.fd(), signal_number);
  forget();
}

void Succession::forget() {
  patience_.cancel();
  watch_.reset();
  successor_.reset();
  trial_.reset();
}

void log_upgrade_in_place(spdlog::logger& log, const std::string& problem) {
  if (problem.empty()) {
    log.info("upgraded: this program has taken the place of the one before");
  } else {
    log.error("upgrade failed, the program before is in its place again: {}", problem);
  }
}

}  // namespace procpool::models::detail
