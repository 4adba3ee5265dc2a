// What can be seen: a small experiment with real processes and sockets, its failure and its cure.
//
//   for (const Demonstration* demonstration : demonstrations()) print(demonstration->name);
//   return show(udp_demonstration);          // the exit code
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "tools/stage.hpp"

namespace procpool::server_demo {

using demo::Cue;
using demo::Stage;
using demo::text;

struct Demonstration {
  std::string_view name;      // of the subcommand
  std::string_view summary;   // one line
  std::string_view remember;  // two or three sentences
  void (*play)(Stage&);       // stage.name() is a folder for it alone
};

// In the order in which they are listed.
std::span<const Demonstration* const> demonstrations();

// Plays it, tells it, judges it, and removes its folder. 0: proved. Ends what takes longer than a
// minute. `figures`, if any, is told in the end.
int show(const Demonstration& demonstration);
int show(std::string_view name, std::string_view summary, std::string_view remember,
         const std::function<void(Stage&)>& play,
         const std::function<std::string()>& figures = nullptr);

extern const Demonstration framing_demonstration;
extern const Demonstration buffers_demonstration;
extern const Demonstration tcp_demonstration;
extern const Demonstration udp_demonstration;
extern const Demonstration broadcast_demonstration;
extern const Demonstration unix_demonstration;
extern const Demonstration sockets_demonstration;
extern const Demonstration names_demonstration;

}  // namespace procpool::server_demo
