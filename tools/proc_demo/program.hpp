// A program that runs until it is told to end, to look at what exec(2) has kept.
//
//   Program cat{stage, "program", [] { ::signal(SIGUSR2, SIG_IGN); }};
//   stage.prove("ignored after exec", true, mask_contains(cat.pid(), "SigIgn", SIGUSR2));
//   cat.end();
#pragma once

#include <functional>
#include <string_view>

#include "tools/proc_demo/stage.hpp"

namespace procpool::proc_demo {

// cat(1), which reads from a pipe whose other end is held here.
class Program {
 public:
  // In a child: runs `prepare`, then the program. Returns when it runs.
  Program(Stage& stage, std::string_view role, const std::function<void()>& prepare);

  pid_t pid() const noexcept { return pid_; }
  proc::ExitStatus end();  // and reaps it

 private:
  Stage& stage_;
  UniqueFd input_;
  pid_t pid_ = 0;
};

}  // namespace procpool::proc_demo
