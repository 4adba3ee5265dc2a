// How somebody is let in, where he may be a user of the system, whose files only root can open to
// him, and what a stranger says must not be read by root.
//
//   const std::optional<Admission> admitted = co_await admit(session, stream, settings);
//   if (!admitted) co_return;                               // he has left, or was sent away
//   whom(admitted->guest).assume();                          // and serve him
#pragma once

#include <optional>

#include "servers/ftp/guest.hpp"
#include "servers/ftp/listing.hpp"
#include "servers/ftp/settings.hpp"
#include "servers/models/session.hpp"
#include "servers/net/stream.hpp"
#include "servers/net/task.hpp"

namespace procpool::ftp::detail {

struct Admission {
  Guest guest;
  FactSet facts = kAllFacts;
};

// For a session of root's, which never reads from the connection meanwhile: a deputy
// (models/deputy.hpp) does, without privileges and in its sandbox, from the greeting on, and asks
// over a line (detail/login_line.hpp) for each login. So who subverts the deputy can guess
// passwords as a client can, as often as a client can, and can read nothing else.
//
// A password is judged by a process that ends with its judgement, and takes what it has read of
// shadow(5) with it. Neither that one nor the session is under a system call filter until somebody
// is let in: what getpwnam(3) does is the business of NSS.
//
// Nullopt: nobody was let in, and the connection may be closed; the reason, if the client did not
// just leave, is in the log. Then, and when somebody was let in, the deputy is dead; what the
// client has sent after PASS is unread. Throws Error.
net::Task<std::optional<Admission>> admit(models::Session& session, const net::Stream& stream,
                                          SettingsPtr settings);

}  // namespace procpool::ftp::detail
