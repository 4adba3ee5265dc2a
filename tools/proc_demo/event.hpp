// What happened, as one list: the terminal's lines, the timeline, the SVG and the JSON are drawn
// from it, and a list that was kept is shown again by --replay.
//
//   Recording recording = read_recording("zombie.json");
//   for (const Event& event : recording.events) tell(event);
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace procpool::proc_demo {

struct Event {
  enum class Kind : std::uint8_t {
    said,     // pid says something
    fork,     // pid has made `other`, whose role is `detail`
    seen,     // /proc shows `other`, which somebody else has made; its role is `detail`
    exec,     // pid runs another program now
    end,      // `other` has ended: its pidfd is readable
    wait,     // pid has reaped `other`
    adopted,  // `other` has another parent: `detail`, a pid
    signal,   // pid sends `other` a signal: `detail`
    state,    // /proc shows `other` in a state: `detail`, one letter
    proof,    // `words` had to be `expected`, and was `observed`
  };

  std::chrono::nanoseconds time{};  // since the start of the scenario
  pid_t pid = 0;                    // who did or saw it
  std::string role{};
  Kind kind = Kind::said;
  pid_t other = 0;
  std::string detail{};
  std::string words{};
  std::string expected{};
  std::string observed{};
};

struct Recording {
  std::string scenario;
  std::string summary;
  std::string lesson;
  std::vector<Event> events{};
};

// It has a column in the timeline, and a number: it changes what a process is, or shows it.
inline bool is_moment(const Event& event) {
  return event.kind != Event::Kind::said && event.kind != Event::Kind::proof;
}

// One event as JSON, on one line.
std::string encode(const Event& event);
Event decode(std::string_view json);  // throws Error

std::string to_json(const Recording& recording);

// Throws Error naming the file: it cannot be read, or is no recording.
Recording read_recording(const std::string& file);

}  // namespace procpool::proc_demo
