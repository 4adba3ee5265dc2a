// A file that comes to be: seen under its name when it is whole, or not at all.
//
//   Upload upload{tree, "/a", 0644};                 // throws Error: the directory is not writable
//   ... write to upload.fd() ...
//   upload.commit(Upload::Durable::no);              // replaces what was there
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "ipc/base/unique_fd.hpp"
#include "servers/ftp/file_tree.hpp"

namespace procpool::ftp {

// Owns a file without a name (O_TMPFILE, open(2)), on the file system of its directory: when its
// process dies, however it does, nothing is left. It has a name of its own, that begins with
// kPrefix, for the moment in which it replaces another file, and from the start where the file
// system has no files without. That one the destructor removes, but a SIGKILL leaves: see
// abandoned_uploads(). For one thread.
class Upload {
 public:
  static constexpr auto kPrefix = ".procpool-upload.";

  // Throws Error: no such directory, it may not be written, no space.
  Upload(const FileTree& tree, std::string path, mode_t mode);
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;
  ~Upload();

  int fd() const noexcept { return file_.fd(); }
  std::uint64_t size() const;  // of what was written so far; throws Error
  bool has_name() const noexcept { return !own_name_.empty(); }

  // From here on the file has its name. With Durable::yes it, and its name, are on the disk:
  // fsync(2). Throws Error: then what was there before is still there.
  enum class Durable { no, yes };
  void commit(Durable durable);

  // The same, unless there is something of this name: then false.
  bool commit_as_new(Durable durable);

 private:
  std::string link_to_own_name();

  std::string path_;
  UniqueFd parent_;
  UniqueFd file_;
  std::string own_name_;  // in parent_; empty: it has none
};

// The names in a directory of uploads whose process is dead: nobody has them locked any more,
// flock(2). Whoever may remove them should. Empty also when the directory cannot be read.
std::vector<std::string> abandoned_uploads(const FileTree& tree, const std::string& directory);

}  // namespace procpool::ftp
