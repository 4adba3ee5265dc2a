#include <signal.h>
#include <unistd.h>

#include <array>
#include <string>

#include "tools/proc_demo/scenario.hpp"

namespace procpool::proc_demo {
namespace {

// As pstree(1) draws it, from /proc/PID/task/PID/children.
std::size_t say_tree(Stage& stage, pid_t root, const std::string& indent = {}) {
  const auto stat = stat_of(root);
  if (!stat) return 0;
  stage.say(indent, indent.empty() ? "" : "└─ ", stat->name, " ", root, " ", stat->state);
  std::size_t count = 1;
  for (const pid_t child : children_of(root)) count += say_tree(stage, child, indent + "   ");
  return count;
}

void play(Stage& stage) {
  const Cue may_end;
  std::array<pid_t, 2> branches{};
  const std::array<Cue, 2> grown{};
  for (std::size_t i = 0; i < branches.size(); ++i) {
    branches[i] = stage.fork(demo::text("branch ", i + 1), [&] {
      std::array<pid_t, 2> leaves{};
      for (pid_t& leaf : leaves) {
        leaf = stage.fork(demo::text("leaf ", i + 1, ".", &leaf - leaves.data() + 1),
                          [&] { stage.await(may_end); });
      }
      grown[i].give();
      for (const pid_t leaf : leaves) stage.reap(leaf);
    });
  }
  for (const Cue& cue : grown) stage.await(cue);
  stage.prove("processes in the tree", 7, say_tree(stage, ::getpid()));

  const auto leaves = children_of(branches[0]);
  stage.signal(branches[0], SIGKILL);
  stage.await_end(branches[0]);
  for (const pid_t leaf : leaves) {
    stage.prove("parent of a leaf whose branch was killed", ::getpid(),
                stage.look_for_adopter(leaf));
  }
  stage.reap(branches[0]);
  stage.prove("processes in the tree: only one died", 6, say_tree(stage, ::getpid()));
  may_end.give();
  for (const pid_t leaf : leaves) stage.reap(leaf);
  stage.reap(branches[1]);
}

}  // namespace

const Scenario tree_scenario{
    .name = "tree",
    .summary = "who is whose child, and what happens when a branch is killed",
    .lesson =
        "Every process has one parent, and so all form a tree. Killing a process kills nobody "
        "else: "
        "its children get another parent and go on. To end a whole tree, put it into a process "
        "group, a session or, to be sure, a control group.",
    .play = play,
};

}  // namespace procpool::proc_demo
