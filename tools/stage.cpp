#include "tools/stage.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"

namespace procpool::demo {
namespace {

constexpr std::size_t kLongestLine = 1024;

struct LineHeader {
  Clock::duration time;
  pid_t pid;
  Line::Kind kind;
  std::array<char, 16> role;  // ends at its first zero
};

bool is_asleep(pid_t pid) {
  const std::string stat = read_file(text("/proc/", pid, "/stat"));
  return stat.at(stat.rfind(')') + 2) == 'S';
}

}  // namespace

Stage::Stage(ipc::Channel lines, std::string name)
    : lines_{std::move(lines)}, name_{std::move(name)} {}

proc::Process Stage::enter(std::string role, const std::function<void()>& act) {
  const auto body = [&] {
    ::signal(SIGPIPE, SIG_IGN);
    role_ = role;
    act();
    return 0;
  };
  return proc::Process::fork(body, {.name = role, .die_with_parent = true});
}

void Stage::send(Line::Kind kind, std::string_view words) {
  std::array<std::byte, kLongestLine> message;
  words = words.substr(0, message.size() - sizeof(LineHeader));
  const std::scoped_lock lock{state_->speaking};
  LineHeader header{.time = Clock::now() - start_, .pid = ::getpid(), .kind = kind, .role = {}};
  role_.copy(header.role.data(), header.role.size() - 1);
  std::memcpy(message.data(), &header, sizeof header);
  std::memcpy(message.data() + sizeof header, words.data(), words.size());
  lines_.send(std::span{message}.first(sizeof header + words.size()));
}

std::optional<Line> receive_line(ipc::Channel& lines) {
  std::array<std::byte, kLongestLine> message;
  const auto received = lines.receive(message);
  if (received.outcome != ipc::Channel::Outcome::message) return std::nullopt;
  if (received.size < sizeof(LineHeader)) throw Error{"receive", "line", "it is too short"};
  LineHeader header;
  std::memcpy(&header, message.data(), sizeof header);
  return Line{.time = header.time,
              .pid = header.pid,
              .kind = header.kind,
              .role = header.role.data(),
              .words = {reinterpret_cast<const char*>(message.data()) + sizeof header,
                        received.size - sizeof header}};
}

void Stage::prove_texts(std::string_view what, std::string_view expected,
                        std::string_view observed) {
  send(expected == observed ? Line::Kind::proved : Line::Kind::refuted,
       text(what, '\0', expected, '\0', observed));
}

// No event tells of it. A process that speaks may sleep too, but not for long.
void Stage::await_sleep(const proc::Process& process) {
  constexpr int kLooks = 6;
  for (int asleep = 0; asleep < kLooks; asleep = is_asleep(process.pid()) ? asleep + 1 : 0) {
    if (!process.is_running()) throw Error{"await sleep", process.name(), "it has ended"};
    std::this_thread::sleep_for(std::chrono::microseconds{200});
  }
}

void Stage::kill(proc::Process& victim) {
  say("kills ", victim.name(), ": SIGKILL to ", victim.pid());
  state_->killed_at = Clock::now().time_since_epoch().count();
  victim.signal(SIGKILL);
  victim.wait();
}

double Stage::ms_since_kill() const {
  const Clock::duration killed_at{state_->killed_at};
  return std::chrono::duration<double, std::milli>{Clock::now().time_since_epoch() - killed_at}
      .count();
}

void Stage::finish(proc::Process& process) {
  const proc::ExitStatus status = process.wait();
  if (!status.success()) throw Error{"play", process.name(), status.text()};
}

Cue::Cue() : event_{::eventfd(0, EFD_CLOEXEC)} {
  if (!event_.valid()) throw_errno("eventfd");
}

void Cue::give() {
  if (::eventfd_write(event_.fd(), 1) < 0) throw_errno("write", "cue");
}

void Cue::await() const {
  wait_ready(event_.fd(), POLLIN, Deadline::never());
}

}  // namespace procpool::demo
