// Files beneath a root, found by the kernel and never outside it: openat2(2).
//
//   UniqueFd file = open_beneath(root.fd(), "a/b", {.symlinks = false});
//   if (!file.valid()) return status_of_errno(errno);
#pragma once

#include <fcntl.h>

#include <string>

#include "ipc/base/unique_fd.hpp"
#include "servers/http/status.hpp"

namespace procpool::http {

struct LookUp {
  int flags = O_RDONLY | O_NONBLOCK;  // O_CLOEXEC and O_NOCTTY are added
  bool symlinks = true;               // follow those that stay beneath the root; else ELOOP
  bool mounts = true;                 // go into other file systems; else EXDEV
};

// Opens `name`, relative to the directory `root`, with RESOLVE_BENEATH: what would lead out of it
// is EXDEV. Not valid: errno tells why.
UniqueFd open_beneath(int root, const std::string& name, LookUp how = {});

// What a client is told when that failed.
Status status_of_errno(int error) noexcept;

}  // namespace procpool::http
