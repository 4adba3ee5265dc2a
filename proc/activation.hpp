// Sockets that a service manager has opened for this process: sd_listen_fds(3), by its variables.
//
//   for (ActivatedDescriptor& passed : take_activated_descriptors()) {
//     serve(net::Listener{std::move(passed.fd)}, passed.name);
//   }
#pragma once

#include <string>
#include <vector>

#include "ipc/base/unique_fd.hpp"

namespace procpool::proc {

struct ActivatedDescriptor {
  UniqueFd fd;       // close-on-exec
  std::string name;  // FileDescriptorName= of the unit, systemd.socket(5); "unknown" without one
};

// Takes the descriptors from 3 on that LISTEN_FDS counts, with the names of LISTEN_FDNAMES, in that
// order, which is the unit's. None if LISTEN_PID is not this process: then they were passed to
// another. The three variables are removed in any case, so that no child takes them for its own; so
// call it at the top of main, before other threads start (setenv(3)), and once. What the
// descriptors are is the caller's to find out: getsockopt(2), SO_ACCEPTCONN. Throws Error: a
// variable makes no sense, or a descriptor is not open.
std::vector<ActivatedDescriptor> take_activated_descriptors();

}  // namespace procpool::proc
