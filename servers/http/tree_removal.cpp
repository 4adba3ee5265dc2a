#include "servers/http/tree_removal.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include "ipc/base/error.hpp"
#include "servers/http/beneath.hpp"

namespace procpool::http {
namespace {

constexpr int kAtOnce = 256;

}  // namespace

TreeRemoval::TreeRemoval(int parent, std::string name) : parent_{parent} {
  enter(std::move(name));
}

bool TreeRemoval::remove_some() {
  for (int i = 0; i < kAtOnce && !levels_.empty(); ++i) {
    errno = 0;
    if (const dirent* const entry = ::readdir(levels_.back().stream.get())) {
      const std::string_view name{entry->d_name};
      if (name != "." && name != "..") remove(entry->d_name);
    } else if (errno == 0) {
      leave();
    } else {
      throw_errno("readdir", levels_.back().name);
    }
  }
  return !levels_.empty();
}

void TreeRemoval::enter(std::string name) {
  if (levels_.size() == kMostDepth) throw Error{"remove", name, ELOOP};
  UniqueFd fd = open_beneath(above(), name,
                             {.flags = O_RDONLY | O_DIRECTORY, .symlinks = false, .mounts = false});
  if (!fd.valid()) throw_errno("open", name);
  Stream stream{::fdopendir(fd.fd())};
  if (!stream) throw_errno("opendir", name);
  const int directory = fd.release();  // it is the stream's now
  levels_.push_back({.name = std::move(name), .stream = std::move(stream), .directory = directory});
}

void TreeRemoval::remove(const char* name) {
  Level& level = levels_.back();
  level.progress = true;
  if (::unlinkat(level.directory, name, 0) == 0 || errno == ENOENT) return;
  if (errno != EISDIR) throw_errno("unlink", name);
  enter(name);
}

// Another pass is for what was put there during this one.
void TreeRemoval::leave() {
  Level last = std::move(levels_.back());
  levels_.pop_back();
  if (::unlinkat(above(), last.name.c_str(), AT_REMOVEDIR) == 0) return;
  if (errno != ENOTEMPTY || !last.progress) throw_errno("rmdir", last.name);
  ::rewinddir(last.stream.get());
  last.progress = false;
  levels_.push_back(std::move(last));
}

int TreeRemoval::above() const {
  return levels_.empty() ? parent_ : levels_.back().directory;
}

}  // namespace procpool::http
