// What a Nursery's process does: it forks workers on request, reaps them, and says how they ended.
#pragma once

#include "ipc/base/unique_fd.hpp"
#include "ipc/channel.hpp"

namespace procpool::proc::detail {

// Until `root` is closed or the process behind `master`, a pidfd, has ended. Each message on `root`
// brings the Channel of a pool: nursery_protocol.hpp. The exit code.
int run_nursery(ipc::Channel root, UniqueFd master);

}  // namespace procpool::proc::detail
