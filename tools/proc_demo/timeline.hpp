// The picture of a list of events: one lane a process, one column a moment.
//
//   const Timeline timeline = timeline_of(recording.events);
//   print(text_of(timeline));
//   svg << svg_of(recording);
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tools/proc_demo/event.hpp"

namespace procpool::proc_demo {

struct Timeline {
  enum class Life : std::uint8_t { none, running, stopped, zombie };

  struct Lane {
    pid_t pid;
    std::string role;
    std::vector<Life> lives;  // after each moment
  };

  struct Moment {
    Event::Kind kind;
    std::size_t by;     // the lane of who did or saw it
    std::size_t other;  // the lane that it happens to: the same for exec
    std::size_t event;  // index into the list
  };

  std::vector<Lane> lanes;
  std::vector<Moment> moments;
};

Timeline timeline_of(const std::vector<Event>& events);

// For a terminal, with a legend. Moments have the numbers of the lines above it, from 1.
std::string text_of(const Timeline& timeline);

// A stand-alone picture, with what happened in words and what was proved.
std::string svg_of(const Recording& recording);

}  // namespace procpool::proc_demo
