// One file that is to be got or put.
//
//   Job job{.remote = "/pub/a", .local = "a", .size = 5};
//   do_job(session, folder, Direction::get, job, {.resume = true}, slot, tick);
#pragma once

#include <cstdint>
#include <ctime>
#include <functional>
#include <optional>
#include <string>

#include "tools/ftp/local_folder.hpp"
#include "tools/ftp/progress.hpp"
#include "tools/ftp/session.hpp"

namespace procpool::ftp_client {

enum class Direction : std::uint8_t { get, put };

struct Job {
  std::string remote;                     // absolute
  std::string local;                      // in a LocalFolder
  std::optional<std::uint64_t> size{};    // of the remote file, if that is known already
  std::optional<std::time_t> modified{};  // the same
};

struct JobOptions {
  bool resume = false;
};

using Tick = std::function<void()>;  // called while bytes move

// Gets a file: under its own name it is seen when it is whole, with the size that the server said
// and its time. Or puts one, and asks the server for its size then. Throws Failure, Error; of what
// was to be got a part is left then.
void do_job(Session& session, const LocalFolder& folder, Direction direction, const Job& job,
            const JobOptions& options, ProgressSlot& slot, const Tick& tick);

}  // namespace procpool::ftp_client
