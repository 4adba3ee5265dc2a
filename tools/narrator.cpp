#include "tools/narrator.hpp"

#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <map>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "proc/signal_source.hpp"
#include "tools/table.hpp"
#include "tools/terminal.hpp"

namespace procpool::demo {
namespace {

constexpr std::size_t kWidth = 100;
constexpr std::size_t kTimeWidth = 9;
constexpr std::size_t kPidWidth = 7;
constexpr std::size_t kRoleWidth = 11;

class Narrator {
 public:
  void tell(const Line& line) {
    if (line.kind != Line::Kind::said) {
      proofs_.push_back(line);
      return;
    }
    const double ms = std::chrono::duration<double, std::milli>{line.time}.count();
    print(text(colour_of(line.pid), padded(fixed(ms, 2), kTimeWidth, Align::right), "  ",
               padded(part(line.pid), kPidWidth, Align::right), "  ",
               padded(line.role, kRoleWidth, Align::left), line.words, colours_ ? kPlain : "",
               "\n"));
  }

  // False: there was nothing, or something was otherwise than expected.
  bool tell_proofs() const {
    Table table{{{"", Align::left},
                 {"", Align::left},
                 {"expected", Align::right},
                 {"observed", Align::right}}};
    bool all = !proofs_.empty();
    for (const Line& proof : proofs_) {
      const std::size_t first = proof.words.find('\0');
      const std::size_t second = proof.words.find('\0', first + 1);
      all = all && proof.kind == Line::Kind::proved;
      table.add({proof.kind == Line::Kind::proved ? "ok" : "WRONG", proof.words.substr(0, first),
                 proof.words.substr(first + 1, second - first - 1),
                 proof.words.substr(second + 1)});
    }
    print(text("\nProof\n", table.text()));
    return all;
  }

 private:
  std::string_view colour_of(pid_t pid) {
    if (!colours_) return "";
    return demo::colour_of(order_.try_emplace(pid, order_.size()).first->second);
  }

  bool colours_ = wants_colours();
  std::map<pid_t, std::size_t> order_;
  std::vector<Line> proofs_;
};

// Kills all who could say something, and waits until they are gone.
void end_all(proc::Process& director, ipc::Channel& lines) {
  director.signal(SIGKILL);  // the others die with it
  while (receive_line(lines)) {
  }
}

// Until all who could say something are gone. Returns the signal that ended it before; 0: none.
int narrate_lines(Narrator& narrator, ipc::Channel& lines, proc::SignalSource& signals) {
  for (;;) {
    std::array<pollfd, 2> ready{{{.fd = lines.fd(), .events = POLLIN, .revents = 0},
                                 {.fd = signals.fd(), .events = POLLIN, .revents = 0}}};
    if (retry_eintr([&] { return ::poll(ready.data(), ready.size(), -1); }) < 0) {
      throw_errno("poll");
    }
    if (const auto signal = signals.try_next()) return signal->number;
    if (ready[0].revents == 0) continue;
    const auto line = receive_line(lines);
    if (!line) return 0;
    narrator.tell(*line);
  }
}

}  // namespace

int narrate(const Play& play) {
  proc::SignalSource signals{{SIGINT, SIGTERM, SIGHUP}};
  auto [listening, speaking] = ipc::make_channel();
  print(text(play.title, "\n\n", padded("ms", kTimeWidth, Align::right), "  ",
             padded("pid", kPidWidth, Align::right), "  ",
             padded("process", kRoleWidth, Align::left), "what happens\n"));

  const auto direct = [&] {
    listening.close();
    Stage stage{std::move(speaking), play.name};
    play.act(stage);
    return 0;
  };
  auto director = proc::Process::fork(direct, {.name = "director", .die_with_parent = true});
  speaking.close();

  Narrator narrator;
  int signal_number = 0;
  try {
    signal_number = narrate_lines(narrator, listening, signals);
  } catch (...) {
    end_all(director, listening);
    throw;
  }
  if (signal_number != 0) {
    end_all(director, listening);
    return 128 + signal_number;
  }
  const bool ended_well = director.wait().success();
  if (play.figures) print(text("\n", play.figures()));
  const bool proved = narrator.tell_proofs();
  print(text("\n", play.moral_title, "\n", wrapped(play.moral, 2, kWidth)));
  if (const auto late = signals.try_next()) return 128 + late->number;  // else it would kill here
  return ended_well && proved ? 0 : 1;
}

}  // namespace procpool::demo
