#include "tests/support/residue.hpp"

#include <unistd.h>

#include <filesystem>
#include <string_view>
#include <system_error>

#include "ipc/base/error.hpp"
#include "tests/support/children.hpp"
#include "tests/support/shared_name.hpp"

namespace procpool::test {
namespace {

constexpr std::string_view kSharedFolder = "/dev/shm";
constexpr std::string_view kMarkPrefix = "-test-";

// The test process; its children keep what it found.
pid_t owner_of_names() {
  static const pid_t pid = ::getpid();
  return pid;
}

}  // namespace

std::string shared_name_mark() {
  return std::string{kMarkPrefix} + std::to_string(owner_of_names()) + "-";
}

std::string shared_name(std::string_view word) {
  return "/" + shared_name_mark() + std::string{word};
}

ResidueCheck::ResidueCheck() : process_{owner_of_names()} {
  become_subreaper();
}

void ResidueCheck::OnTestStart(const testing::TestInfo&) {
  if (::getpid() != process_) return;
  descriptors_ = open_descriptors();
  shared_files_ = shared_files();
}

void ResidueCheck::OnTestEnd(const testing::TestInfo&) {
  if (::getpid() != process_) return;
  check_children();
  check_descriptors();
  check_shared_files();
}

ResidueCheck::Descriptors ResidueCheck::open_descriptors() {
  Descriptors open;
  for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"}) {
    std::error_code gone;  // the descriptor by which this folder is read
    const auto target = std::filesystem::read_symlink(entry.path(), gone);
    if (!gone && target != "/proc/" + std::to_string(::getpid()) + "/fd") {
      open.emplace(std::stoi(entry.path().filename()), target);
    }
  }
  return open;
}

std::set<std::string> ResidueCheck::shared_files() {
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator{kSharedFolder}) {
    const std::string name = entry.path().filename();
    if (name.find(shared_name_mark()) != std::string::npos) files.insert(name);
  }
  return files;
}

void ResidueCheck::check_children() {
  if (!has_children()) return;
  ADD_FAILURE() << "processes are left: " << describe(list_children());
  kill_and_reap_all();
}

void ResidueCheck::check_descriptors() {
  const Descriptors now = open_descriptors();
  for (const auto& [fd, target] : now) {
    const auto before = descriptors_.find(fd);
    if (before == descriptors_.end()) {
      ADD_FAILURE() << "descriptor " << fd << " is left open: " << target;
    } else if (before->second != target) {
      ADD_FAILURE() << "descriptor " << fd << " was " << before->second << ", is " << target;
    }
  }
  for (const auto& [fd, target] : descriptors_) {
    if (!now.contains(fd)) ADD_FAILURE() << "descriptor " << fd << " was closed: " << target;
  }
}

void ResidueCheck::check_shared_files() {
  for (const std::string& name : shared_files()) {
    if (shared_files_.contains(name)) continue;
    ADD_FAILURE() << "file is left in " << kSharedFolder << ": " << name;
    std::error_code ignored;
    std::filesystem::remove(std::filesystem::path{kSharedFolder} / name, ignored);
  }
}

}  // namespace procpool::test
