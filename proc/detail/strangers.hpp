// The processes that this one has adopted, as PID 1 or a subreaper.
//
//   for (const Stranger& orphan : reap_strangers(collect_if_own)) log(orphan.name, orphan.status);
#pragma once

#include <functional>
#include <vector>

#include "proc/stranger.hpp"

namespace procpool::proc::detail {

// Reaps all children that have ended, but those for which `collect_own`, given the pid, says true:
// it has then reaped the child itself.
std::vector<Stranger> reap_strangers(const std::function<bool(pid_t)>& collect_own);

}  // namespace procpool::proc::detail
