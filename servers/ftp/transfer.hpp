// The bytes of one transfer, either way: what moves over a data connection.
//
//   TransferResult result = co_await send_file(data, file.fd(), offset, how);
//   if (result.problem == Problem::client) say(reply(426, "..."));
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "ipc/base/loop.hpp"
#include "servers/net/stream.hpp"
#include "servers/net/task.hpp"

namespace procpool::ftp {

struct TransferRules {
  Loop& loop;
  std::chrono::milliseconds patience;  // with a client for whom nothing moves
  std::uint64_t rate = 0;              // bytes per second; 0: as fast as it goes
  std::atomic<std::uint64_t>& done;    // grows with what has moved
};

// Who ended it before its end.
enum class Problem { none, client, file };

struct TransferResult {
  Problem problem = Problem::none;
  int error = 0;  // errno
};

// All of the file from `offset`. With sendfile(2), except as_text: each LF that no CR precedes gets
// one, RFC 959 §3.1.1.1.
net::Task<TransferResult> send_file(net::Stream& data, int file, off_t offset, TransferRules rules);
net::Task<TransferResult> send_text_file(net::Stream& data, int file, TransferRules rules);

inline constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 62;

// How many bytes there may be in all, when so many are wanted: less is all that there is room for.
using Room = std::function<std::uint64_t(std::uint64_t wanted)>;

// What comes, to the file's own offset, up to the end; with splice(2), except as text: CR LF
// becomes LF. More bytes than there is room for are EDQUOT. `room` outlives the transfer.
net::Task<TransferResult> receive_file(net::Stream& data, int file, const Room& room,
                                       TransferRules rules);
net::Task<TransferResult> receive_text_file(net::Stream& data, int file, const Room& room,
                                            TransferRules rules);

// Pieces, until there is none: a listing.
using NextPiece = std::function<std::optional<std::string>()>;
net::Task<TransferResult> send_pieces(net::Stream& data, NextPiece next, TransferRules rules);

}  // namespace procpool::ftp
