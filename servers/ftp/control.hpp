// One FTP session: the control connection of a client, and what he does by it.
//
//   service.handler = [settings](models::Session& session, net::Stream stream) {
//     return ftp::serve(session, std::move(stream), settings);
//   };
#pragma once

#include "servers/ftp/settings.hpp"
#include "servers/models/session.hpp"
#include "servers/net/stream.hpp"
#include "servers/net/task.hpp"

namespace procpool::ftp {

// From the greeting to the end: RFC 959 with the corrections of RFC 1123 §4.1, FEAT and OPTS
// (2389), EPRT and EPSV (2428), MDTM, SIZE, REST STREAM, MLST and MLSD (3659), UTF8 (2640), HOST
// (7151), MFMT and SITE. The control connection is read during transfers: ABOR and STAT are obeyed
// at once, other commands when the transfer is over. When the server stops, the transfer that runs
// comes to its end, and the client is told 421.
net::Task<> serve(models::Session& session, net::Stream stream, SettingsPtr settings);

}  // namespace procpool::ftp
