// Many transfers, by one session or by several processes at once.
//
//   const Order order{.direction = Direction::get, .folder = "/srv/copy", .jobs = jobs, .parallel =
//   4}; const CrewReport report = do_jobs(session, order, waiting, display);
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <vector>

#include "tools/ftp/failure.hpp"
#include "tools/ftp/job.hpp"
#include "tools/ftp/progress.hpp"
#include "tools/ftp/session.hpp"
#include "tools/ftp/waiting.hpp"

namespace procpool::ftp_client {

struct Order {
  Direction direction = Direction::get;
  std::string folder{};
  std::vector<Job> jobs{};
  JobOptions options{};
  int parallel = 1;  // processes of a proc::Pool, each with a session; 1: the caller's session
};

struct CrewReport {
  std::uint64_t done = 0;
  std::vector<std::string> failures{};  // a sentence each
  std::exception_ptr first{};           // of them, where the caller's session has worked
};

// Does all jobs, whatever fails; each is tried once more when its connection was lost. A worker
// that cannot connect leaves its share to the others; one that dies has a successor, who goes on
// with what it had in hand. The session is closed meanwhile when it is
// not needed. Throws Interrupted: workers are killed then, and leave parts.
CrewReport do_jobs(Session& session, const Order& order, const Waiting& waiting,
                   ProgressDisplay& display);

}  // namespace procpool::ftp_client
