// A supervisor as a child of another one.
//
//   ChildSpec storage = supervised_supervisor("storage", {database, cache},
//                                             {.strategy = Strategy::rest_for_one});
//   supervisor.start_generation({storage, web}, stop_plan);
#pragma once

#include <string>
#include <vector>

#include "proc/supervisor.hpp"

namespace procpool::proc {

// A child whose process supervises these children as one generation.
//
//   ready     when all of them are; it fails with their reason when one does
//   SIGTERM   ends them, each by ChildSpec::stop, and then exits with 0
//   gives up  exits with 1 when all are gone and it was not told so, and the generation, or the
//             RestartPolicy of one, had given up; 0 if there was just nothing more to restart. What
//             follows is for the supervisor above.
//   dies      the kernel kills its children with it, however it died: each of them has
//             ChildOptions::die_with_parent, and so they die at every depth. The same happens when
//             the supervisor above dies.
//
// It keeps the descriptors that its children keep (ChildOptions::keep_only), and is ended without a
// limit of time (ChildSpec::stop), as each of its children has one. It has as long to get ready as
// all of them together. Its events go to on_event, in its process.
ChildSpec supervised_supervisor(
    std::string name, std::vector<ChildSpec> children, const GenerationPolicy& policy = {},
    Supervisor::EventHandler on_event = [](const SupervisorEvent&) {});

}  // namespace procpool::proc
