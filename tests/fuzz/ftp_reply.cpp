// The reader of replies gives the same whether the bytes come at once or one by one, and never more
// than came; what a reply names is a port, an address, a path, or nothing.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/check.hpp"
#include "tools/ftp/failure.hpp"
#include "tools/ftp/reply.hpp"

namespace procpool::ftp_client {
namespace {

using fuzz::check;

struct Read {
  std::vector<Reply> replies{};
  bool refused = false;
};

Read read_in_pieces(std::string_view text, std::size_t piece) {
  Read read;
  ReplyReader reader;
  try {
    while (!text.empty()) {
      reader.feed(text.substr(0, piece));
      text.remove_prefix(std::min(piece, text.size()));
      while (auto reply = reader.next()) read.replies.push_back(*std::move(reply));
    }
  } catch (const Failure& failure) {
    check(failure.exit_code() == ExitCode::protocol, "the server is to blame");
    read.refused = true;
  }
  return read;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const Read whole = read_in_pieces(text, size + 1);
  const Read bytes = read_in_pieces(text, 1);
  check(whole.refused == bytes.refused, "pieces do not matter");
  check(whole.replies.size() == bytes.replies.size(), "pieces make no replies");
  std::size_t length = 0;
  for (const Reply& reply : whole.replies) {
    check(reply.code >= 100 && reply.code <= 599 && !reply.lines.empty(), "a reply has a code");
    for (const std::string& line : reply.lines) length += line.size() + 1;
    if (const auto path = parse_quoted_path(reply.last()))
      check(path->size() < reply.last().size(), "a path is a part of its reply");
    if (const auto port = parse_epsv(reply.last())) check(*port != 0, "a port is no zero");
    if (const auto address = parse_pasv(reply.last()))
      check(address->port != 0 && address->host.size() <= 15, "an address has six numbers");
  }
  check(length <= size, "nothing comes from nowhere");
  return 0;
}

}  // namespace procpool::ftp_client
