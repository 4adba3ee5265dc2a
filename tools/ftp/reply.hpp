// What a server says: RFC 959 §4.2.
//
//   ReplyReader reader;
//   reader.feed(bytes);                                  // as they come
//   if (auto reply = reader.next()) if (reply->kind() == 2) ...
//   parse_epsv("Entering Extended Passive Mode (|||1234|)");    // 1234
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace procpool::ftp_client {

struct Reply {
  int code = 0;                      // 100 to 599
  std::vector<std::string> lines{};  // one or more, as they came, without their ends

  int kind() const noexcept { return code / 100; }
  const std::string& last() const noexcept { return lines.back(); }
};

// Cuts the stream of the control connection into replies. A line ends with LF; a CR before it
// belongs to the end. Knows nothing of sockets.
class ReplyReader {
 public:
  static constexpr std::size_t kMostOfLine = 8192;                    // bytes
  static constexpr std::size_t kMostOfReply = std::size_t{1} << 20U;  // bytes

  void feed(std::string_view bytes) { text_.append(bytes); }

  // The next reply. Nullopt: it has not come whole. Throws Failure (protocol): what came is no
  // reply, or one that is longer than anybody needs.
  std::optional<Reply> next();

 private:
  std::optional<std::string> next_line();

  std::string text_;
  std::size_t seen_ = 0;  // of text_, in which there is no LF
  Reply reply_;           // so far
  std::size_t reply_bytes_ = 0;
};

// The port that a 229 names, RFC 2428 §3. Nullopt: none.
std::optional<std::uint16_t> parse_epsv(std::string_view text);

// The address that a 227 names, RFC 959 §4.1.2 and RFC 1123 §4.1.2.6: six numbers, wherever they
// stand. Nullopt: none.
struct PassiveAddress {
  std::string host;
  std::uint16_t port;
};
std::optional<PassiveAddress> parse_pasv(std::string_view text);

// The path in quotes of a 257, RFC 959 appendix II: doubled quotes are one.
std::optional<std::string> parse_quoted_path(std::string_view text);

// All digits, and no more than fits.
std::optional<std::uint64_t> parse_number(std::string_view digits);

}  // namespace procpool::ftp_client
