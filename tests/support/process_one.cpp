#include "tests/support/process_one.hpp"

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>

#include "tests/support/children.hpp"
#include "tests/support/eventually.hpp"

namespace procpool::test {
namespace {

constexpr auto kUnshare = "unshare --user --map-root-user --pid --fork --kill-child --mount-proc";

void write_script(const std::string& path, const std::string& script) {
  std::ofstream{path + ".new"} << "#!/bin/sh\n" << script << "\n";
  std::filesystem::permissions(path + ".new", std::filesystem::perms{0755});
  std::filesystem::rename(path + ".new", path);
}

}  // namespace

ProcessOne::ProcessOne(ServerProgram& server)
    : server_{server}, pid_{list_children(server.pid()).at(0).pid} {}

ProcessOne::~ProcessOne() {
  stop(SIGINT);
}

proc::ExitStatus ProcessOne::stop(int signal_number) {
  proc::Process& unshare = server_.process();
  if (unshare.is_running()) ::kill(pid_, signal_number);
  if (!unshare.wait_for(kPatience)) unshare.signal(SIGKILL);
  return unshare.wait();
}

std::set<pid_t> ProcessOne::children() const {
  std::set<pid_t> pids;
  for (const Child& child : list_children(pid_)) pids.insert(child.pid);
  return pids;
}

bool ProcessOne::await_children(std::size_t count) const {
  return eventually([&] {
    const auto children = list_children(pid_);
    return children.size() == count && std::ranges::count(children, 'Z', &Child::state) == 0;
  });
}

ProgramInNamespace::ProgramInNamespace(std::string program) : program_{std::move(program)} {
  write_script(start_, std::string{"exec "} + kUnshare + " " + replaceable_ + " \"$@\"");
  restore();
}

std::string ProgramInNamespace::why_not() {
  const ProgramRun attempt = run_program({"sh", "-c", std::string{kUnshare} + " true"});
  return attempt.status.success() ? "" : "no pid namespace: " + attempt.errors;
}

void ProgramInNamespace::replace(const std::string& script) const {
  write_script(replaceable_, script);
}

void ProgramInNamespace::replace_for_good(const std::string& script) const {
  replace("case \"$*\" in *--check*) exit 0;; esac\n" + script);
}

void ProgramInNamespace::restore() const {
  std::filesystem::create_symlink(program_, replaceable_ + ".new");
  std::filesystem::rename(replaceable_ + ".new", replaceable_);
}

ProgramRun ProgramInNamespace::upgrade(const ProcessOne& server,
                                       const std::string& pid_file) const {
  return run_program({"nsenter", "--target", std::to_string(server.pid()), "--user", "--pid",
                      "--mount", "--preserve-credentials", program_, "upgrade", "--pid-file",
                      pid_file});
}

}  // namespace procpool::test
