// How files are described to a client: LIST, NLST, MLST and MLSD.
//
//   list_line("a", facts, now);                      // "-rw-r--r--    1 0 0  5 Nov  6 09:49 a\r\n"
//   mlst_line("a", facts, "file", {.write = true}, kAllFacts);   // "type=file;size=5;...; a\r\n"
//   DirectoryReader reader{std::move(directory)};
//   while (auto entry = reader.next()) out += list_line(entry->name, entry->facts, now);
#pragma once

#include <dirent.h>
#include <sys/stat.h>

#include <array>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ipc/base/unique_fd.hpp"

namespace procpool::ftp {

// As `ls -ln` writes it, with CRLF: what clients have learnt to read. `link` is where a symbolic
// link leads. A name's control bytes are '?': lines are all that a client has to tell them apart.
std::string list_line(std::string_view name, const struct stat& facts, std::time_t now,
                      std::string_view link = {});

// As NLST writes it, likewise.
std::string name_line(std::string_view name);

// RFC 3659 §7.5. The facts that a client may choose from, by OPTS MLST.
enum class Fact : unsigned { type, size, modify, perm, unique, unix_mode };
inline constexpr std::array<std::string_view, 6> kFactNames{"type", "size",   "modify",
                                                            "perm", "unique", "UNIX.mode"};
using FactSet = unsigned;
constexpr FactSet bit(Fact fact) noexcept {
  return 1U << static_cast<unsigned>(fact);
}
inline constexpr FactSet kAllFacts = (1U << kFactNames.size()) - 1;

// "Type=file;...; name", without an end of line. `type` is "cdir" and "pdir" for the directory
// itself and the one above, else what the facts say.
std::string mlst_line(std::string_view name, const struct stat& facts, bool may_write, FactSet set,
                      std::string_view type = {});

// YYYYMMDDHHMMSS in UTC, RFC 3659 §2.3, and back; nullopt: no such time.
std::string time_text(std::time_t time);
std::optional<std::time_t> parse_time(std::string_view text);

// Owns an open directory, and reads it name by name, in the kernel's order, without "." and "..".
// What vanishes meanwhile is passed over. For one thread.
class DirectoryReader {
 public:
  explicit DirectoryReader(UniqueFd directory);  // opened for reading; throws Error

  struct Entry {
    std::string name;
    struct stat facts;  // of the link itself
    std::string link;   // where it leads, if it is one
  };
  std::optional<Entry> next();

  // Of the names alone: no look at the files.
  std::optional<std::string> next_name();

 private:
  struct Close {
    void operator()(DIR* directory) const noexcept { ::closedir(directory); }
  };
  std::unique_ptr<DIR, Close> directory_;
};

}  // namespace procpool::ftp
