// A directory removed with everything in it, a little at a time.
//
//   TreeRemoval removal{parent.fd(), "old"};
//   while (removal.remove_some()) do_something_else();
#pragma once

#include <dirent.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "ipc/base/unique_fd.hpp"

namespace procpool::http {

// Symbolic links in it are removed and never followed, and other file systems that are mounted in
// it are left alone. Each level below `name` takes a descriptor while it is emptied. For one
// thread; destroyed before it is done, it leaves the rest.
class TreeRemoval {
 public:
  static constexpr std::size_t kMostDepth = 100;

  // `parent` is an open directory that outlives this, also one opened with O_PATH; `name` is a
  // directory in it. Throws Error.
  TreeRemoval(int parent, std::string name);

  // Removes some hundred entries; false: all is done. Throws Error: something cannot be removed, or
  // lies deeper than kMostDepth (ELOOP).
  bool remove_some();

 private:
  struct Close {
    void operator()(DIR* stream) const noexcept { ::closedir(stream); }
  };
  using Stream = std::unique_ptr<DIR, Close>;
  struct Level {
    std::string name;
    Stream stream;
    int directory = -1;     // the stream's
    bool progress = false;  // something of it was removed since it was read from its begin
  };

  void enter(std::string name);
  void remove(const char* name);
  void leave();
  int above() const;

  int parent_;
  std::vector<Level> levels_;  // from the top to where it is now
};

}  // namespace procpool::http
