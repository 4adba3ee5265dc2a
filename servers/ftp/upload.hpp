// A file that comes to be: seen under its name when it is whole, or not at all.
//
//   Upload upload{tree, "/a", 0644};                 // throws Error: the directory is not writable
//   ... write to upload.fd() ...
//   upload.commit(Upload::Durable::no);              // replaces what was there
#pragma once

#include <sys/types.h>

#include <string>

#include "ipc/base/unique_fd.hpp"
#include "servers/ftp/file_tree.hpp"

namespace procpool::ftp {

// Owns a file without a name (O_TMPFILE, open(2)), on the file system of its directory: when its
// process dies, however it does, nothing is left. Where the file system has no such files it has a
// name of its own that begins with kPrefix, which the destructor removes, but a SIGKILL leaves. For
// one thread.
class Upload {
 public:
  static constexpr auto kPrefix = ".procpool-upload.";

  // Throws Error: no such directory, it may not be written, no space.
  Upload(const FileTree& tree, std::string path, mode_t mode);
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;
  ~Upload();

  int fd() const noexcept { return file_.fd(); }

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

}  // namespace procpool::ftp
