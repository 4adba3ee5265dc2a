// Files found by the kernel, and never outside of where they may be: openat2(2).
//
//   UniqueFd file = open_resolved(root.fd(), "a/b", O_RDONLY, 0, RESOLVE_BENEATH);
//   if (!file.valid()) return errno;
#pragma once

#include <linux/openat2.h>
#include <sys/types.h>

#include <cstdint>
#include <string>

#include "ipc/base/unique_fd.hpp"

namespace procpool {

// Opens `path`, relative to the directory `root`, resolved as RESOLVE_BENEATH, RESOLVE_IN_ROOT and
// the other flags of openat2(2) say; `mode` is for O_CREAT and O_TMPFILE. Close-on-exec, never a
// controlling terminal, never through a magic link of /proc. A rename that races with the look-up
// is tried again. Not valid: errno tells why.
UniqueFd open_resolved(int root, const std::string& path, int flags, mode_t mode,
                       std::uint64_t resolve) noexcept;

}  // namespace procpool
