#include "tools/proc_demo/narrator.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <fstream>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "proc/process.hpp"
#include "proc/signal_source.hpp"
#include "tools/proc_demo/timeline.hpp"
#include "tools/table.hpp"
#include "tools/terminal.hpp"

namespace procpool::proc_demo {
namespace {

using demo::Align;
using demo::padded;
using demo::print;
using demo::text;

constexpr std::size_t kWidth = 100;
constexpr std::size_t kNumberWidth = 4;
constexpr std::size_t kTimeWidth = 9;
constexpr std::size_t kPidWidth = 8;
constexpr std::size_t kRoleWidth = 14;

class Narrator {
 public:
  explicit Narrator(Recording recording) : recording_{std::move(recording)} {
    print(text("proc-demo ", recording_.scenario, ": ", recording_.summary, "\n\n",
               padded("#", kNumberWidth, Align::right), padded("ms", kTimeWidth, Align::right),
               padded("pid", kPidWidth, Align::right), "  ",
               padded("process", kRoleWidth, Align::left), "what happens\n"));
  }

  void tell(Event event) {
    if (event.kind != Event::Kind::proof) {
      const double ms = std::chrono::duration<double, std::milli>{event.time}.count();
      const std::string number = is_moment(event) ? text(++moments_) : "";
      print(text(colour_of(event.pid), padded(number, kNumberWidth, Align::right),
                 padded(demo::fixed(ms, 2), kTimeWidth, Align::right),
                 padded(text(event.pid), kPidWidth, Align::right), "  ",
                 padded(event.role, kRoleWidth, Align::left), event.words,
                 colours_ ? demo::kPlain : "", "\n"));
    }
    recording_.events.push_back(std::move(event));
  }

  // The timeline, what was proved, the lesson, and the files. False: there was nothing to prove, or
  // something was otherwise than expected.
  bool conclude(const Telling& telling) const {
    print(text("\nTimeline\n", text_of(timeline_of(recording_.events)), "\nProof\n"));
    const bool proved = tell_proofs();
    print(text("\nTo remember\n", demo::wrapped(recording_.lesson, 2, kWidth)));
    write(telling.svg_file, [&] { return svg_of(recording_); });
    write(telling.json_file, [&] { return to_json(recording_); });
    return proved;
  }

 private:
  bool tell_proofs() const {
    demo::Table table{{{"", Align::left},
                       {"", Align::left},
                       {"expected", Align::left},
                       {"observed", Align::left}}};
    bool some = false;
    bool all = true;
    for (const Event& event : recording_.events) {
      if (event.kind != Event::Kind::proof) continue;
      const bool so = event.expected == event.observed;
      some = true;
      all = all && so;
      table.add({so ? "ok" : "WRONG", event.words, event.expected, event.observed});
    }
    print(table.text());
    return some && all;
  }

  template <typename Drawn>
  static void write(const std::string& file, const Drawn& drawn) {
    if (file.empty()) return;
    std::ofstream out{file};
    out << drawn() << std::flush;
    if (!out) throw_errno("write", file);
  }

  std::string_view colour_of(pid_t pid) {
    if (!colours_) return "";
    return demo::colour_of(order_.try_emplace(pid, order_.size()).first->second);
  }

  Recording recording_;
  bool colours_ = demo::wants_colours();
  int moments_ = 0;
  std::map<pid_t, std::size_t> order_;
};

// Kills and reaps all children, and those that they leave, until there is none.
void end_descendants() {
  for (auto children = children_of(::getpid()); !children.empty();
       children = children_of(::getpid())) {
    for (const pid_t child : children) ::kill(child, SIGKILL);
    for (const pid_t child : children) wait_for(child, WEXITED);
  }
}

struct NobodyLeft {
  NobodyLeft() = default;
  NobodyLeft(const NobodyLeft&) = delete;
  NobodyLeft& operator=(const NobodyLeft&) = delete;
  ~NobodyLeft() { end_descendants(); }
};

// The next event; nullopt: all who could send one are gone.
std::optional<Event> receive_event(ipc::Channel& events) {
  std::vector<std::byte> line;
  if (events.receive(line).outcome != ipc::Channel::Outcome::message) return std::nullopt;
  return decode({reinterpret_cast<const char*>(line.data()), line.size()});
}

class Reader {
 public:
  // A line of standard input, or its end, after which nothing is waited for any more. The number of
  // a signal that came first; 0: none.
  int await_line(proc::SignalSource& signals) {
    while (!ended_) {
      std::array<pollfd, 2> ready{{{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0},
                                   {.fd = signals.fd(), .events = POLLIN, .revents = 0}}};
      if (retry_eintr([&] { return ::poll(ready.data(), ready.size(), -1); }) < 0) {
        throw_errno("poll");
      }
      if (const auto signal = signals.try_next()) return signal->number;
      char c = 0;
      ended_ = retry_eintr([&] { return ::read(STDIN_FILENO, &c, 1); }) != 1;
      if (c == '\n') break;
    }
    return 0;
  }

 private:
  bool ended_ = false;
};

// Until all who could send something are gone. Returns the signal that ended it before; 0: none.
int narrate_events(Narrator& narrator, ipc::Channel& events, proc::SignalSource& signals,
                   Stepping stepping) {
  Reader reader;
  for (;;) {
    std::array<pollfd, 2> ready{{{.fd = events.fd(), .events = POLLIN, .revents = 0},
                                 {.fd = signals.fd(), .events = POLLIN, .revents = 0}}};
    if (retry_eintr([&] { return ::poll(ready.data(), ready.size(), -1); }) < 0) {
      throw_errno("poll");
    }
    if (const auto signal = signals.try_next()) return signal->number;
    if (ready[0].revents == 0) continue;
    auto event = receive_event(events);
    if (!event) return 0;
    narrator.tell(std::move(*event));
    if (stepping == Stepping::no) continue;
    if (const int signal = reader.await_line(signals); signal != 0) return signal;
    events.send(std::array{std::byte{1}});
  }
}

}  // namespace

int narrate(const Scenario& scenario, const Telling& telling) {
  proc::SignalSource signals{{SIGINT, SIGTERM, SIGHUP}};
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) throw_errno("prctl", "PR_SET_CHILD_SUBREAPER");
  auto [listening, speaking] = ipc::make_channel();
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) throw_errno("pipe2");
  UniqueFd life{ends[0]};
  UniqueFd alive{ends[1]};  // held by this process alone: hung up when it ends
  Narrator narrator{{.scenario = std::string{scenario.name},
                     .summary = std::string{scenario.summary},
                     .lesson = std::string{scenario.lesson}}};
  const auto direct = [&] {
    listening.close();
    alive.reset();
    Stage stage{std::move(speaking), std::move(life), telling.stepping};
    scenario.play(stage);
    stage.prove("processes left behind", 0, children_of(::getpid()).size());
    return 0;
  };
  const NobodyLeft nobody_left;
  auto director = proc::Process::fork(direct, {.name = "director", .die_with_parent = true});
  speaking.close();
  const int signal = narrate_events(narrator, listening, signals, telling.stepping);
  if (signal != 0) {
    director.signal(SIGKILL);
    director.wait();
    return 128 + signal;
  }
  const bool ended_well = director.wait().success();
  const bool proved = narrator.conclude(telling);
  return ended_well && proved ? 0 : 1;
}

int replay(const Recording& recording, const Telling& telling) {
  proc::SignalSource signals{{SIGINT, SIGTERM, SIGHUP}};
  Narrator narrator{
      {.scenario = recording.scenario, .summary = recording.summary, .lesson = recording.lesson}};
  Reader reader;
  for (const Event& event : recording.events) {
    narrator.tell(event);
    if (telling.stepping == Stepping::no) continue;
    if (const int signal = reader.await_line(signals); signal != 0) return 128 + signal;
  }
  return narrator.conclude(telling) ? 0 : 1;
}

}  // namespace procpool::proc_demo
