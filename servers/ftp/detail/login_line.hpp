// Between the process that reads a stranger's commands, and the one that may let him in.
//
//   auto [desk, stranger] = make_login_line();
//   if (is_refused(stranger.fd(), {.name = "ada", .password = "guess"})) say("530 ...");
//
//   while (const auto login = take_login(desk.fd())) refuse(desk.fd());      // the other one
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "ipc/base/unique_fd.hpp"
#include "servers/ftp/listing.hpp"

namespace procpool::ftp::detail {

struct Login {
  std::string name;
  std::string password;
  FactSet facts = kAllFacts;  // of OPTS MLST, which may come before
};

// A pair of sockets (SOCK_SEQPACKET, unix(7)), close-on-exec. A question is a message of one size,
// of which nothing is a length, an offset or a descriptor, and an answer a byte, so that whoever
// has taken possession of the one side can do nothing to the other one but ask.
std::pair<UniqueFd, UniqueFd> make_login_line();

// Asks, and blocks until it is answered. False: it never will be. Who is let in does not hear of
// it: his process is ended, and the other one goes on with his connection. A name or a password
// that is longer than any that there can be is asked as nobody's. Throws Error.
inline constexpr std::chrono::seconds kPatienceWithLogin{30};
bool is_refused(int line, const Login& login);

// Does not block. Nullopt: the other side is closed. Throws Error: it is no question, or there is
// none yet.
std::optional<Login> take_login(int line);
void refuse(int line) noexcept;

}  // namespace procpool::ftp::detail
