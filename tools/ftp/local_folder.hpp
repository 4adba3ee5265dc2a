// The folder that files are got into, and out of which nothing leads.
//
//   LocalFolder folder{"/srv/copy"};
//   folder.make("a/b");
//   PartFile part{folder, "a/b/file"};                   // a/b/file.ftp-part
//   write(part.fd(), ...);
//   part.finish(modified);                               // a/b/file, whole
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>

#include "ipc/base/unique_fd.hpp"

namespace procpool::ftp_client {

// Owns an open directory. Paths are relative to it, and resolved by the kernel: through no symbolic
// link, and never out of it (openat2(2)), whatever a server has called its files.
class LocalFolder {
 public:
  explicit LocalFolder(const std::string& path);  // which is there; throws Error

  void make(const std::string& path) const;  // one directory, unless it is there; throws Error
  UniqueFd open(const std::string& path, int flags, mode_t mode = 0) const;  // not valid: errno
  std::optional<struct stat> look(const std::string& path) const;            // of a link itself

  struct Place {
    UniqueFd parent;
    std::string name;
  };
  Place place(const std::string& path) const;  // throws Error

  const std::string& path() const noexcept { return path_; }  // for messages

 private:
  std::string path_;
  UniqueFd directory_;
};

// What has come of a file so far, beside it: NAME.ftp-part. It is left behind when a transfer
// fails, to be resumed.
class PartFile {
 public:
  static constexpr std::string_view kSuffix = ".ftp-part";

  // With `resume`, what is there is kept, or the file itself, which is then taken for a part,
  // unless the remote file was changed since. Else it is empty.
  struct Resume {
    std::optional<std::uint64_t> remote_size;
    std::optional<std::time_t> remote_modified;
  };
  PartFile(const LocalFolder& folder, const std::string& path, const std::optional<Resume>& resume);

  std::uint64_t size() const noexcept { return size_; }
  void append(std::string_view bytes);  // throws Error

  // It has its name, and replaces what had it.
  void finish(std::optional<std::time_t> modified);

 private:
  bool adopt(const Resume& resume, const std::string& name);
  void begin_anew();

  LocalFolder::Place place_;
  std::string whole_path_;  // for messages
  std::string part_name_;
  UniqueFd file_;
  std::uint64_t size_ = 0;
};

}  // namespace procpool::ftp_client
