// Tells what happens on a stage, line by line, and judges it.
//
//   return narrate({.title = "ipc-demo pipe: bytes", .name = "/ipc-demo.1234",
//                   .act = pipe_scenario.play, .moral_title = "When to use it", .moral = when});
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "tools/stage.hpp"

namespace procpool::demo {

struct Play {
  std::string title;                               // the first line
  std::string name;                                // Stage::name()
  std::function<void(Stage&)> act;                 // by a process of its own
  std::function<std::string()> figures = nullptr;  // if any: told after it, before the proof
  std::string_view moral_title;
  std::string_view moral;  // the last lines
};

// Runs it in processes of its own and writes to standard output what they say, in the order of
// time. 0: everything proved; 1: something was not, or a process failed. On SIGINT, SIGTERM and
// SIGHUP it ends all of them and returns 128 + the signal's number. Throws Error, when nobody
// reads; they are ended then, too. One colour a process on a terminal, unless NO_COLOR is set
// (no-color.org).
int narrate(const Play& play);

}  // namespace procpool::demo
