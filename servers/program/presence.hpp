// The files that tell which process serves, and what became of its reloads: one of each.
//
//   Presence presence{"/run/x.pid", std::move(inheritance.pid_file), succeeds};
//   presence.begin_change();                         // a reload or an upgrade
//   presence.finish_change(problem);
#pragma once

#include <optional>
#include <string>

#include "ipc/base/unique_fd.hpp"
#include "proc/pid_file.hpp"
#include "servers/models/inheritance.hpp"
#include "servers/program/reload_record.hpp"

namespace procpool::program {

// Owns a PidFile and the ReloadRecord beside it, or, without a path, nothing. For the master.
class Presence {
 public:
  // Takes the lock, or, given the descriptor of a master before, waits for begin(): a successor has
  // them when it serves. If that master was this process, its record goes on. Throws Error: another
  // process holds the file.
  Presence(std::string path, UniqueFd inherited,
           const std::optional<models::Predecessor>& predecessor);

  void begin();  // throws Error

  int fd() const noexcept { return file_ ? file_->fd() : -1; }  // lent, to a successor

  void begin_change() noexcept;
  void finish_change(const std::string& problem) noexcept;  // empty: it has succeeded

  void leave() noexcept;                           // they are a successor's now
  void stay(const std::string& problem) noexcept;  // the upgrade has failed: they are ours again

 private:
  std::string path_;
  UniqueFd inherited_;
  bool goes_on_;
  std::optional<proc::PidFile> file_;
  std::optional<ReloadRecord> record_;
};

}  // namespace procpool::program
