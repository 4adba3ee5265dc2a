#include "tools/proc_demo/inspect.hpp"

#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "tools/proc_demo/evidence.hpp"
#include "tools/table.hpp"
#include "tools/terminal.hpp"
#include "tools/text.hpp"

namespace procpool::proc_demo {
namespace {

using demo::Align;
using demo::print;
using demo::Table;
using demo::text;

using Processes = std::map<pid_t, ProcStat>;

Processes all_processes() {
  Processes all;
  for (const auto& entry : std::filesystem::directory_iterator{"/proc"}) {
    const std::string name = entry.path().filename();
    pid_t pid = 0;
    const auto end = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (end.ptr != name.data() + name.size()) continue;
    if (auto stat = stat_of(pid)) all.emplace(pid, std::move(*stat));
  }
  return all;
}

std::string age_of(const ProcStat& stat) {
  timespec boot{};
  if (::clock_gettime(CLOCK_BOOTTIME, &boot) < 0) throw_errno("clock_gettime");
  const auto ticks = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  const auto started = static_cast<long>(stat.start_time / ticks);
  return text(boot.tv_sec > started ? boot.tv_sec - started : 0, " s");
}

// As ps(1) shows the state: the letter, and what else there is to say.
std::vector<std::pair<char, std::string_view>> letters_of(pid_t pid, const ProcStat& stat) {
  std::vector<std::pair<char, std::string_view>> letters{{stat.state, meaning_of(stat.state)}};
  if (stat.nice < 0) letters.emplace_back('<', "gets more of the CPU than others: nice below 0");
  if (stat.nice > 0) letters.emplace_back('N', "gives way to others: nice above 0");
  if (stat.session == pid) letters.emplace_back('s', "leads a session");
  if (stat.threads > 1) letters.emplace_back('l', "has several threads");
  if (stat.foreground_group == stat.group) {
    letters.emplace_back('+', "is in the foreground of its terminal");
  }
  return letters;
}

std::string letters_text(pid_t pid, const ProcStat& stat) {
  std::string all;
  for (const auto& [letter, meaning] : letters_of(pid, stat)) all += letter;
  return all;
}

std::string named(const Processes& all, pid_t pid) {
  const auto process = all.find(pid);
  return process == all.end() ? text(pid) : text(pid, " (", process->second.name, ")");
}

// The function of the kernel in which it sleeps: proc(5), wchan.
std::string sleeps_in(pid_t pid) {
  try {
    const std::string where = read_file(text("/proc/", pid, "/wchan"));
    return where.empty() || where == "0" ? "not known" : where;
  } catch (const Error&) {
    return "not known";
  }
}

std::string advice_for(const Processes& all, pid_t parent) {
  const auto process = all.find(parent);
  if (parent == 0 || process == all.end()) return "its parent is outside of what can be seen here";
  if (process->second.state == 'T') return "the parent is stopped: kill -CONT it, and it can wait";
  if (mask_contains(parent, "SigCgt", SIGCHLD)) {
    return "the parent handles SIGCHLD: it is busy, or waits once for each signal (see sigchld)";
  }
  if (mask_contains(parent, "SigBlk", SIGCHLD)) {
    return "the parent blocks SIGCHLD: it reads it as data, or will look later";
  }
  return "the parent does nothing at SIGCHLD: it waits later or never; its end would free the "
         "zombie";
}

void print_zombie(const Processes& all, pid_t pid, const ProcStat& stat) {
  const bool ignores = mask_contains(stat.ppid, "SigIgn", SIGCHLD);
  print(text("\n  ", named(all, pid), ", started ", age_of(stat), " ago\n",
             "    who must wait for it   ", named(all, stat.ppid), "\n",
             "    it ignores SIGCHLD     ", ignores, "\n", "    it sleeps in           ",
             sleeps_in(stat.ppid), "\n", "    advice                 ", advice_for(all, stat.ppid),
             "\n"));
}

// Nobody writes down whose child a process was. But who leads no session and has a parent in
// another one has been adopted, unless its parent has called setsid since.
bool looks_adopted(const Processes& all, pid_t pid, const ProcStat& stat) {
  const auto parent = all.find(stat.ppid);
  if (parent == all.end() || stat.ppid == 2) return false;  // 2: the kernel's own, kthreadd
  return stat.session != pid && stat.session != parent->second.session;
}

int print_all() {
  const Processes all = all_processes();
  std::size_t zombies = 0;
  print("Zombies: ended, and not waited for\n");
  for (const auto& [pid, stat] : all) {
    if (stat.state != 'Z') continue;
    ++zombies;
    print_zombie(all, pid, stat);
  }
  if (zombies == 0) print("  none\n");

  Table orphans{
      {{"pid"}, {"name", Align::left}, {"adopted by", Align::left}, {"started", Align::left}}};
  std::size_t adopted = 0;
  for (const auto& [pid, stat] : all) {
    if (!looks_adopted(all, pid, stat)) continue;
    ++adopted;
    orphans.add({text(pid), stat.name, named(all, stat.ppid), age_of(stat) + " ago"});
  }
  print("\nOrphans: their parent has ended (inferred: their session is not their parent's)\n");
  print(adopted == 0 ? std::string{"  none\n"} : orphans.text());
  return 0;
}

int print_one(pid_t pid) {
  const Processes all = all_processes();
  const auto found = all.find(pid);
  if (found == all.end()) {
    std::cerr << "proc-demo: there is no process " << pid << '\n';
    return 1;
  }
  const ProcStat& stat = found->second;
  print(text("Process ", named(all, pid), ", known by its pid and its start time ", stat.start_time,
             "\n\n  state  ", letters_text(pid, stat), "\n"));
  for (const auto& [letter, meaning] : letters_of(pid, stat)) {
    print(text("    ", letter, "    ", meaning, "\n"));
  }
  Table facts{{{"", Align::left}, {"", Align::left}}};
  facts.add({"parent", named(all, stat.ppid) +
                           (looks_adopted(all, pid, stat) ? ", which adopted it (inferred)" : "")});
  facts.add({"group", text(stat.group, stat.group == pid ? ", which it leads" : "")});
  facts.add({"session", text(stat.session, stat.session == pid ? ", which it leads" : "")});
  facts.add({"terminal", stat.terminal == 0 ? "none" : "one"});
  facts.add({"nice", text(stat.nice)});
  facts.add({"threads", text(stat.threads)});
  facts.add({"started", age_of(stat) + " ago"});
  facts.add({"sleeps in", sleeps_in(pid)});
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kMasks{
      {{"SigIgn", "ignores"}, {"SigBlk", "blocks"}, {"SigCgt", "handles"}, {"ShdPnd", "pending"}}};
  for (const auto& [field, what] : kMasks) {
    std::string signals;
    for (int signal = 1; signal < SIGRTMIN; ++signal) {
      if (!mask_contains(pid, field, signal) || ::sigabbrev_np(signal) == nullptr) continue;
      signals += text(signals.empty() ? "" : " ", ::sigabbrev_np(signal));
    }
    facts.add({std::string{what}, signals.empty() ? "nothing" : signals});
  }
  print(facts.text());
  if (stat.state == 'Z') print_zombie(all, pid, stat);
  const auto children = children_of(pid);
  print(text("\nChildren: ", children.size(), "\n"));
  for (const pid_t child : children) {
    const auto of_child = all.find(child);
    if (of_child == all.end()) continue;  // it came later
    if (of_child->second.state == 'Z') {
      print_zombie(all, child, of_child->second);
    } else {
      print(text("  ", named(all, child), " ", letters_text(child, of_child->second), "\n"));
    }
  }
  return 0;
}

}  // namespace

int inspect(std::optional<pid_t> pid) {
  return pid ? print_one(*pid) : print_all();
}

}  // namespace procpool::proc_demo
