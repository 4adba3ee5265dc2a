// The picture as SVG: what is where is computed here, how it looks is said by a style sheet.
#include <algorithm>
#include <string>
#include <string_view>

#include "tools/proc_demo/timeline.hpp"
#include "tools/text.hpp"

namespace procpool::proc_demo {
namespace {

using demo::text;
using Kind = Event::Kind;
using Life = Timeline::Life;

constexpr int kLeft = 180;
constexpr int kTop = 90;
constexpr int kColumn = 58;
constexpr int kLane = 58;
constexpr int kLine = 20;
constexpr int kLeastWidth = 1080;

constexpr std::string_view kStyle = R"(<style>
  svg { --ink: #1f2328; --soft: #59636e; --grid: #d8dee4; --paper: #ffffff; --life: #1b7c83;
        --zombie: #8250df; --good: #116329; --bad: #cf222e; --fork: #0550ae; --signal: #cf222e;
        --wait: #116329; --adopted: #bc4c00; --exec: #9a6700;
        font: 13px system-ui, sans-serif; }
  @media (prefers-color-scheme: dark) {
    svg { --ink: #e6edf3; --soft: #9198a1; --grid: #30363d; --paper: #0d1117; --life: #39c5cf;
          --zombie: #bc8cff; --good: #56d364; --bad: #ff7b72; --fork: #58a6ff; --signal: #ff7b72;
          --wait: #56d364; --adopted: #ffa657; --exec: #e3b341; } }
  .paper { fill: var(--paper); } text { fill: var(--ink); } .soft { fill: var(--soft); }
  .title { font-size: 16px; font-weight: 600; } .grid { stroke: var(--grid); }
  .middle { text-anchor: middle; } .small { font-size: 11px; }
  .running, .stopped, .zombie { fill: none; stroke-width: 8; stroke: var(--life); }
  .stopped { stroke-dasharray: 4 6; } .zombie { stroke: var(--zombie); stroke-dasharray: 3 3; }
  .arrow { fill: none; stroke: currentColor; stroke-width: 1.8; }
  .mark { fill: var(--paper); stroke: currentColor; stroke-width: 2; } .head { fill: currentColor; }
  .label { fill: currentColor; font-size: 11px; text-anchor: middle; }
  .fork { color: var(--fork); } .signal { color: var(--signal); } .wait { color: var(--wait); }
  .adopted { color: var(--adopted); } .exec { color: var(--exec); } .end { color: var(--zombie); }
  .state { color: var(--soft); } .good { fill: var(--good); } .bad { fill: var(--bad); }
</style>
)";

std::string escaped(std::string_view words) {
  std::string all;
  for (const char c : words) {
    switch (c) {
      case '&':
        all += "&amp;";
        break;
      case '<':
        all += "&lt;";
        break;
      case '>':
        all += "&gt;";
        break;
      case '"':
        all += "&quot;";
        break;
      default:
        all += c;
    }
  }
  return all;
}

std::string words_at(int x, int y, std::string_view style, std::string_view words) {
  return text("<text x=\"", x, "\" y=\"", y, "\" class=\"", style, "\">", escaped(words),
              "</text>\n");
}

int x_of(std::size_t moment) {
  return kLeft + kColumn / 2 + static_cast<int>(moment) * kColumn;
}

int y_of(std::size_t lane) {
  return kTop + kLane / 2 + static_cast<int>(lane) * kLane;
}

std::string_view style_of(Life life) {
  switch (life) {
    case Life::running:
      return "running";
    case Life::stopped:
      return "stopped";
    case Life::zombie:
      return "zombie";
    case Life::none:
      break;
  }
  return "none";
}

std::string_view style_of(Kind kind) {
  switch (kind) {
    case Kind::fork:
    case Kind::seen:
      return "fork";
    case Kind::exec:
      return "exec";
    case Kind::end:
      return "end";
    case Kind::wait:
      return "wait";
    case Kind::adopted:
      return "adopted";
    case Kind::signal:
      return "signal";
    default:
      return "state";
  }
}

std::string label_of(const Event& event) {
  switch (event.kind) {
    case Kind::fork:
      return "fork";
    case Kind::seen:
      return "seen";
    case Kind::exec:
      return "exec";
    case Kind::end:
      return "ended";
    case Kind::wait:
      return "reaped";
    case Kind::adopted:
      return text("parent ", event.detail);
    case Kind::state:
      return event.detail == "-" ? "gone" : event.detail;
    default:
      return event.detail;
  }
}

std::string life_lines(const Timeline& timeline, std::size_t lane) {
  std::string all;
  const auto& lives = timeline.lanes[lane].lives;
  const auto line = [&](Life life, int from, int to) {
    if (life == Life::none) return;
    all += text("<path class=\"", style_of(life), "\" d=\"M", from, " ", y_of(lane), "H", to,
                "\"/>\n");
  };
  const bool first_begins_it = !timeline.moments.empty() && timeline.moments[0].other == lane &&
                               style_of(timeline.moments[0].kind) == "fork";
  if (!first_begins_it) line(lives[0], kLeft, x_of(0));
  for (std::size_t i = 0; i < lives.size(); ++i) line(lives[i], x_of(i), x_of(i) + kColumn);
  return all;
}

// From the one who did it to the one whom it happened to; the label beside the latter.
std::string moment_drawn(const Timeline::Moment& moment, std::size_t index, const Event& event) {
  const int x = x_of(index);
  const int from = y_of(moment.by);
  const int to = y_of(moment.other);
  std::string all =
      text("<g class=\"", style_of(moment.kind), "\"><title>", escaped(event.words), "</title>\n");
  const bool does =
      moment.kind == Kind::fork || moment.kind == Kind::wait || moment.kind == Kind::signal;
  if (does && from != to) {
    const int end = to > from ? to - 9 : to + 9;
    const int back = to > from ? end - 7 : end + 7;
    all += text("<path class=\"arrow\" d=\"M", x, " ", from, "V", end, "\"/>\n",
                "<path class=\"head\" d=\"M", x - 4, " ", back, "L", x + 4, " ", back, "L", x, " ",
                end, "Z\"/>\n");
  }
  all += text("<circle class=\"mark\" cx=\"", x, "\" cy=\"", to, "\" r=\"6\"/>\n");
  all += text("<text class=\"label\" x=\"", x, "\" y=\"", to + 22, "\">", escaped(label_of(event)),
              "</text>\n</g>\n");
  return all;
}

std::string ms_text(const Event& event) {
  return text(demo::fixed(std::chrono::duration<double, std::milli>{event.time}.count(), 2), " ms");
}

// What happened in words, numbered as the columns, and what was proved; `y` moves on.
std::string told(const Recording& recording, int& y) {
  constexpr int kNumber = 24;
  constexpr int kTime = 60;
  constexpr int kRole = 140;
  constexpr int kWords = 290;
  std::string all;
  int number = 0;
  for (const Event& event : recording.events) {
    y += kLine;
    if (event.kind == Kind::proof) {
      const bool so = event.expected == event.observed;
      all += words_at(kNumber, y, so ? "good" : "bad", so ? "✓" : "✗");
      all += words_at(
          kWords, y, so ? "good" : "bad",
          so ? text("as expected: ", event.words, ": ", event.observed)
             : text(event.words, ": expected ", event.expected, ", observed ", event.observed));
      continue;
    }
    if (is_moment(event)) all += words_at(kNumber, y, "soft", text(++number));
    all += words_at(kTime, y, "soft", ms_text(event));
    all += words_at(kRole, y, "soft", text(event.role, " ", event.pid));
    all += words_at(kWords, y, "", event.words);
  }
  return all;
}

}  // namespace

std::string svg_of(const Recording& recording) {
  const Timeline timeline = timeline_of(recording.events);
  const int bottom = kTop + static_cast<int>(timeline.lanes.size()) * kLane;
  const int right = kLeft + static_cast<int>(timeline.moments.size()) * kColumn;
  const int width = std::max(right + 24, kLeastWidth);
  std::string body = words_at(24, 32, "title", text(recording.scenario, ": ", recording.summary));
  body += words_at(24, 54, "soft",
                   "one lane a process: a full line runs, a dashed one is a zombie, dots are "
                   "stopped; one column a moment, in its order");
  for (std::size_t i = 0; i < timeline.moments.size(); ++i) {
    body += text("<path class=\"grid\" d=\"M", x_of(i), " ", kTop, "V", bottom, "\"/>\n");
    body += words_at(x_of(i), kTop - 8, "soft small middle", text(i + 1));
  }
  for (std::size_t lane = 0; lane < timeline.lanes.size(); ++lane) {
    const auto& [pid, role, lives] = timeline.lanes[lane];
    body += words_at(24, y_of(lane), "", role);
    body += words_at(24, y_of(lane) + 16, "soft small", text("pid ", pid));
    body += life_lines(timeline, lane);
  }
  for (std::size_t i = 0; i < timeline.moments.size(); ++i) {
    body += moment_drawn(timeline.moments[i], i, recording.events[timeline.moments[i].event]);
  }
  int y = bottom + 10;
  body += told(recording, y);
  y += kLine + 10;
  for (std::string_view rest = recording.lesson; !rest.empty();) {
    constexpr std::size_t kColumns = 140;
    const std::string lines = demo::wrapped(rest, 0, kColumns);
    const std::string_view line = std::string_view{lines}.substr(0, lines.find('\n'));
    body += words_at(24, y, "", line);
    y += kLine;
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  }
  return text("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"", width, "\" height=\"", y,
              "\" viewBox=\"0 0 ", width, " ", y, "\">\n", kStyle,
              "<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n", body, "</svg>\n");
}

}  // namespace procpool::proc_demo
