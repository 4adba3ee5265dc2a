// Whom a child runs as.
//
//   auto child = Process::fork(body, {.credentials = Credentials::of("www-data")});
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace procpool::proc {

// A user, a group and the supplementary groups, looked up before fork. A value. Changing to it
// needs root or CAP_SETUID and CAP_SETGID: credentials(7).
struct Credentials {
  std::string user;  // as it was asked for; for messages
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // replaces all supplementary groups

  // A name or a number of the user database, passwd(5). The group, a name or a number too, is the
  // user's primary one unless given; the supplementary ones are the user's. A number without an
  // entry needs a group and has no supplementary groups. Throws Error: no such user, no such group.
  // May block (NSS).
  static Credentials of(const std::string& user, const std::optional<std::string>& group = {});

  // Changes the calling process, all of its threads, for good: what a daemon does when it has what
  // only root may open. A process that dies with its parent still does: the kernel would forget it,
  // PR_SET_PDEATHSIG, prctl(2). Throws Error naming the step; the process should end then, for the
  // steps before are done. setresuid(2).
  void assume() const;
};

}  // namespace procpool::proc
