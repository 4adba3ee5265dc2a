#include "servers/program/reload_record.hpp"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <iostream>
#include <sstream>
#include <system_error>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/unique_fd.hpp"

namespace procpool::program {

std::string reload_record_path(const std::string& pid_file) {
  return pid_file + ".reload";
}

ReloadRecord::ReloadRecord(const std::string& pid_file, Reloads so_far)
    : path_{reload_record_path(pid_file)}, owner_{::getpid()}, reloads_{std::move(so_far)} {
  write();
}

ReloadRecord::~ReloadRecord() {
  if (owner_ == ::getpid()) ::unlink(path_.c_str());
}

void ReloadRecord::begin() noexcept {
  ++reloads_.begun;
  try_to_write();
}

void ReloadRecord::finish(const std::string& problem) noexcept {
  reloads_.finished = reloads_.begun;
  reloads_.problem = problem;
  try_to_write();
}

// Through no link that somebody else has laid there.
void ReloadRecord::write() const {
  const std::string fresh = path_ + ".new";
  ::unlink(fresh.c_str());
  const UniqueFd file{::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)};
  if (!file.valid()) throw_errno("open", fresh);
  write_full(file.fd(),
             std::to_string(reloads_.begun) + " " + std::to_string(reloads_.finished) + "\n" +
                 reloads_.problem,
             fresh);
  if (::rename(fresh.c_str(), path_.c_str()) < 0) throw_errno("rename", path_);
}

void ReloadRecord::try_to_write() const noexcept {
  try {
    write();
  } catch (const std::exception& error) {
    std::cerr << program_invocation_short_name << ": " << error.what() << std::endl;
  }
}

std::optional<Reloads> read_reload_record(const std::string& pid_file) {
  std::string text;
  try {
    text = read_file(reload_record_path(pid_file));
  } catch (const Error& error) {
    if (error.code() == std::errc::no_such_file_or_directory) return std::nullopt;
    throw;
  }
  Reloads reloads;
  std::istringstream numbers{text};
  numbers >> reloads.begun >> reloads.finished;
  if (!numbers) throw Error{"read", reload_record_path(pid_file), "is not a record of reloads"};
  reloads.problem = text.substr(text.find('\n') + 1);
  return reloads;
}

}  // namespace procpool::program
