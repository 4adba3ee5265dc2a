// The files that one user sees: those beneath a root, found by the kernel and never outside it.
//
//   FileTree tree{"/srv/ftp/ada"};
//   UniqueFd file = tree.open("/a/b", O_RDONLY);
//   if (!file.valid()) tell(errno);
//   if (const int error = tree.rename("/a", "/b")) tell(error);
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <ctime>
#include <optional>
#include <string>

#include "ipc/base/unique_fd.hpp"

namespace procpool::ftp {

// Owns a descriptor of the root. Paths are absolute, as resolve() gives them; the kernel resolves
// them as if the root were "/" (RESOLVE_IN_ROOT, openat2(2)): links, also absolute ones, and ".."
// lead nowhere else, whatever somebody renames meanwhile. What changes a directory acts on a parent
// that was opened so and one final name. For one thread.
class FileTree {
 public:
  explicit FileTree(const std::string& root);  // throws Error

  // Close-on-exec; never a controlling terminal, and never waits for the other end of a FIFO. Not
  // valid: errno tells why.
  UniqueFd open(const std::string& path, int flags, mode_t mode = 0) const;

  // Of what is there; a link that leads to nothing is ENOENT. Nullopt: errno tells why.
  std::optional<struct stat> look(const std::string& path) const;
  std::optional<struct stat> look_at_link(const std::string& path) const;  // does not follow it

  // Each returns 0, or an errno.
  int make_directory(const std::string& path, mode_t mode) const;
  int remove_directory(const std::string& path) const;
  int remove_file(const std::string& path) const;
  int rename(const std::string& from, const std::string& to) const;
  int change_mode(const std::string& path, mode_t mode) const;
  int set_modified(const std::string& path, std::time_t time) const;

  // Of the directory that holds `path`. Not valid: errno.
  UniqueFd open_parent(const std::string& path) const;

 private:
  UniqueFd root_;
};

}  // namespace procpool::ftp
