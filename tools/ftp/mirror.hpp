// What has to be transferred so that one tree is like the other.
//
//   const Plan plan = plan_get(session, "/pub", folder);
//   do_jobs(session, {.folder = folder.path(), .jobs = plan.jobs}, waiting, display);
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tools/ftp/job.hpp"
#include "tools/ftp/local_folder.hpp"
#include "tools/ftp/session.hpp"

namespace procpool::ftp_client {

struct Plan {
  std::vector<Job> jobs{};
  std::uint64_t unchanged = 0;          // files that need nothing
  std::vector<std::string> notes{};     // what is left out on purpose: links, special files
  std::vector<std::string> problems{};  // what should be transferred and cannot
};

// No server can make a plan endless.
inline constexpr std::size_t kMostDepth = 100;  // of directories in each other
inline constexpr std::size_t kMostEntries = 1'000'000;

// Walks a tree at the server, and makes its directories here. A file is needed if it is missing
// here, has another size or is newer there. Links to files are followed, links to directories are
// not; a directory is entered once. Throws Failure if the root itself cannot be listed.
Plan plan_get(Session& session, const std::string& remote, const LocalFolder& folder);

// Walks a tree here, and makes its directories at the server. Links are left out.
Plan plan_put(Session& session, const LocalFolder& folder, const std::string& remote);

}  // namespace procpool::ftp_client
