// What a server says of its files: MLSD, RFC 3659 §7, and what LIST prints.
//
//   parse_mlsd_line("type=file;size=5;modify=20260101120000; a b")->name;          // "a b"
//   parse_list_line("-rw-r--r-- 1 0 0 5 Nov  6 09:49 a b", now)->size;             // 5
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace procpool::ftp_client {

struct Entry {
  enum class Kind : std::uint8_t { file, directory, link, other };

  std::string name;  // as it came: see is_safe_name()
  Kind kind = Kind::file;
  std::optional<std::uint64_t> size{};
  std::optional<std::time_t> modified{};  // UTC; of LIST what the server takes for it
  std::time_t precision = 1;              // of `modified`: seconds that it may be later
  std::optional<mode_t> mode{};
  std::string link{};    // where a link leads, if that is said
  std::string unique{};  // the same for the same file, if the server says so
};

// Nullopt: no entry, or one of the directory itself or the one above.
std::optional<Entry> parse_mlsd_line(std::string_view line);

// As ls -l writes it (vsftpd, pure-ftpd, proftpd and their kin) or as DIR does. A time without year
// is the last one before `now`.
std::optional<Entry> parse_list_line(std::string_view line, std::time_t now);

enum class Format { mlsd, list };
std::vector<Entry> parse_listing(std::string_view text, Format format, std::time_t now);

// "-rw-r--r--         1234  2026-11-21 21:33  name", in the time of this place; '?' for what a
// terminal would obey.
std::string line_of(const Entry& entry);

}  // namespace procpool::ftp_client
