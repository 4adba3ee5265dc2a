#include "tools/proc_demo/timeline.hpp"

#include <algorithm>
#include <map>
#include <string_view>

#include "tools/table.hpp"
#include "tools/text.hpp"

namespace procpool::proc_demo {
namespace {

using demo::Align;
using demo::padded;
using demo::text;
using Kind = Event::Kind;
using Life = Timeline::Life;

bool begins_life(const Event& event) {
  return event.kind == Kind::fork || event.kind == Kind::seen;
}

class Builder {
 public:
  void add(const Event& event, std::size_t index) {
    const std::size_t by = lane_of(event.pid, event.role);
    const std::size_t other =
        event.other == 0 ? by : lane_of(event.other, begins_life(event) ? event.detail : "");
    // Those who were there before the first moment live from the start.
    lives_.try_emplace(by, Life::running);
    change(event, other);
    timeline_.moments.push_back({.kind = event.kind, .by = by, .other = other, .event = index});
    for (std::size_t lane = 0; lane < timeline_.lanes.size(); ++lane) {
      auto& lives = timeline_.lanes[lane].lives;
      lives.resize(timeline_.moments.size() - 1, Life::none);
      const auto now = lives_.find(lane);
      lives.push_back(now == lives_.end() ? Life::none : now->second);
    }
  }

  Timeline take() { return std::move(timeline_); }

 private:
  std::size_t lane_of(pid_t pid, const std::string& role) {
    const auto [lane, is_new] = lanes_.try_emplace(pid, timeline_.lanes.size());
    if (is_new) timeline_.lanes.push_back({.pid = pid, .role = role, .lives = {}});
    if (!role.empty()) timeline_.lanes[lane->second].role = role;
    return lane->second;
  }

  void change(const Event& event, std::size_t lane) {
    if (begins_life(event)) lives_[lane] = Life::running;
    if (event.kind == Kind::end) lives_[lane] = Life::zombie;
    if (event.kind == Kind::wait) lives_[lane] = Life::none;
    if (event.kind != Kind::state) return;
    lives_[lane] = event.detail == "-"   ? Life::none
                   : event.detail == "Z" ? Life::zombie
                   : event.detail == "T" ? Life::stopped
                                         : Life::running;
  }

  Timeline timeline_;
  std::map<pid_t, std::size_t> lanes_;
  std::map<std::size_t, Life> lives_;
};

constexpr std::size_t kCell = 4;
constexpr std::size_t kRoleWidth = 14;
constexpr std::size_t kMostColumns = 20;  // side by side

// What a lane shows of a moment; empty: the moment does not concern it.
std::string_view mark_of(const Timeline::Moment& moment, std::size_t lane) {
  if (lane == moment.other) {
    switch (moment.kind) {
      case Kind::fork:
      case Kind::seen:
        return "┌";
      case Kind::exec:
        return "E";
      case Kind::end:
        return "x";
      case Kind::wait:
        return "┘";
      case Kind::adopted:
        return "^";
      case Kind::signal:
        return "!";
      case Kind::state:
        return "o";
      default:
        return "";
    }
  }
  if (lane == moment.by) {
    switch (moment.kind) {
      case Kind::fork:
        return "F";
      case Kind::wait:
        return "W";
      case Kind::signal:
        return "s";
      default:
        return "";
    }
  }
  return "";
}

std::string_view line_of(Life life) {
  switch (life) {
    case Life::running:
      return "─";
    case Life::stopped:
      return "·";
    case Life::zombie:
      return "░";
    case Life::none:
      break;
  }
  return " ";
}

// The moments from `first` to before `last`.
std::string rows(const Timeline& timeline, std::size_t first, std::size_t last) {
  std::string all = std::string(kRoleWidth + 11, ' ');
  for (std::size_t i = first; i < last; ++i) {
    all += padded(text(i + 1), kCell, Align::left);
  }
  all += "\n";
  for (std::size_t lane = 0; lane < timeline.lanes.size(); ++lane) {
    const auto& [pid, role, lives] = timeline.lanes[lane];
    all +=
        text("  ", padded(role, kRoleWidth, Align::left), padded(text(pid), 7, Align::right), "  ");
    for (std::size_t i = first; i < last; ++i) {
      const std::string_view before = line_of(i == 0 ? Life::none : lives[i - 1]);
      const std::string_view mark = mark_of(timeline.moments[i], lane);
      all += mark.empty() ? (i == 0 ? line_of(lives[0]) : before) : mark;
      for (std::size_t filler = 1; filler < kCell; ++filler) all += line_of(lives[i]);
    }
    all.erase(all.find_last_not_of(' ') + 1);
    all += "\n";
  }
  return all;
}

}  // namespace

Timeline timeline_of(const std::vector<Event>& events) {
  Builder builder;
  for (std::size_t i = 0; i < events.size(); ++i) {
    if (is_moment(events[i])) builder.add(events[i], i);
  }
  return builder.take();
}

std::string text_of(const Timeline& timeline) {
  std::string all;
  for (std::size_t first = 0; first < timeline.moments.size(); first += kMostColumns) {
    if (first > 0) all += "\n";
    all += rows(timeline, first, std::min(first + kMostColumns, timeline.moments.size()));
  }
  return all +
         "\n  ─ runs  ░ zombie  · stopped    F┌ fork (┌ made by others)  x end  W┘ wait and reap  "
         "s! signal\n"
         "  ^ another parent  E exec  o its state seen in /proc\n";
}

}  // namespace procpool::proc_demo
