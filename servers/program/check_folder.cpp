#include "servers/program/check_folder.hpp"

#include <errno.h>
#include <fcntl.h>

#include <vector>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/unique_fd.hpp"
#include "proc/process.hpp"

namespace procpool::program {
namespace {

// 0, or an errno.
int try_to_open(const std::string& directory) noexcept {
  const UniqueFd fd{
      retry_eintr([&] { return ::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC); })};
  return fd.valid() ? 0 : errno;
}

// As this process, or by one that has become the user.
int try_as(const std::optional<proc::Credentials>& user, const std::string& directory) {
  if (!user) return try_to_open(directory);
  const proc::ExitStatus status =
      proc::Process::fork([&] { return try_to_open(directory); },
                          {.name = "check", .credentials = user, .keep_only = std::vector<int>{}})
          .wait();
  if (!status.code()) throw Error{"open as " + user->user, directory, status.text()};
  return *status.code();
}

}  // namespace

// To find "." in it needs what finding a file needs: search permission.
void check_folder(const std::string& folder, const std::string& key,
                  const std::optional<proc::Credentials>& user, const Origins& origins,
                  const std::string& prefix) {
  const int error = try_as(user, folder + "/.");
  if (error == 0) return;
  const std::string operation = user ? "open as " + user->user : "open";
  refuse(origins, origins.contains(prefix + key) ? prefix + key : key,
         Error{operation, folder, error_text(error)}.what());
}

std::optional<proc::Credentials> credentials_of(const std::string& user, const std::string& group) {
  if (user.empty()) return std::nullopt;
  return proc::Credentials::of(user, group.empty() ? std::nullopt : std::optional{group});
}

std::optional<proc::Credentials> check_user(const std::string& user, const std::string& group,
                                            const Origins& origins) {
  if (user.empty() && !group.empty()) refuse(origins, "group", "needs a user beside it");
  try {
    return credentials_of(user, group);
  } catch (const Error& error) {
    refuse(origins, error.operation() == "group" ? "group" : "user", error.what());
  }
}

}  // namespace procpool::program
