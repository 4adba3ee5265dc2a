// The sessions of a server, as a table for people: `procpool-ftpd sessions`.
//
//   auto board = open_board("/run/ftpd.pid");
//   std::cout << sessions_table(models::sessions_of(*board), 80);
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "ipc/shared.hpp"
#include "servers/models/session_board.hpp"

namespace procpool::ftp {

// The one that belongs to this pid file: by this name the server and whoever asks share it. Throws
// Error.
ipc::Shared<models::SessionBoard> open_board(const std::string& pid_file);

// A heading, and a line for each session, none wider than `width` columns: pid, address, user, age,
// what it does, and of a transfer how much of how much, and how fast. Control bytes are '?'.
std::string sessions_table(const std::vector<models::SessionView>& sessions, std::size_t width);

// Writes the table to standard output; with `watch` on a terminal again each second, in place,
// until the server has ended or this process is told to. Returns the exit code: 0, or 3 when no
// process holds the pid file. Throws Error.
int show_sessions(const std::string& pid_file, bool watch);

}  // namespace procpool::ftp
