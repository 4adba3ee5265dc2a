#include "servers/ftp/listing.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <climits>
#include <cstdint>
#include <cstdio>

#include "ipc/base/error.hpp"

namespace procpool::ftp {
namespace {

constexpr std::time_t kHalfAYear = 182L * 24 * 60 * 60;
constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

char letter_of(mode_t mode) noexcept {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return 'd';
    case S_IFLNK:
      return 'l';
    case S_IFIFO:
      return 'p';
    case S_IFSOCK:
      return 's';
    case S_IFCHR:
      return 'c';
    case S_IFBLK:
      return 'b';
    default:
      return '-';
  }
}

std::array<char, 11> mode_text(mode_t mode) noexcept {
  std::array<char, 11> text{letter_of(mode), 'r', 'w', 'x', 'r', 'w', 'x', 'r', 'w', 'x', '\0'};
  for (unsigned i = 0; i < 9; ++i) {
    if ((mode & (0400U >> i)) == 0) text[i + 1] = '-';
  }
  if ((mode & S_ISUID) != 0) text[3] = text[3] == 'x' ? 's' : 'S';
  if ((mode & S_ISGID) != 0) text[6] = text[6] == 'x' ? 's' : 'S';
  if ((mode & S_ISVTX) != 0) text[9] = text[9] == 'x' ? 't' : 'T';
  return text;
}

void append_name(std::string& out, std::string_view name) {
  for (const char c : name)
    out.push_back(static_cast<unsigned char>(c) < ' ' || c == '\x7f' ? '?' : c);
}

// RFC 3659 §7.5.5: what this user may do with it, if the file system agrees.
std::string permissions(const struct stat& facts, bool may_write) {
  if (S_ISDIR(facts.st_mode)) return may_write ? "elcdmfp" : "el";
  return may_write ? "rawdf" : "r";
}

std::string_view type_of(mode_t mode) noexcept {
  if (S_ISDIR(mode)) return "dir";
  if (S_ISREG(mode)) return "file";
  return S_ISLNK(mode) ? "OS.unix=slink" : "OS.unix=special";
}

std::optional<int> number(std::string_view digits) {
  int value = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

}  // namespace

std::string list_line(std::string_view name, const struct stat& facts, std::time_t now,
                      std::string_view link) {
  std::tm when{};
  ::gmtime_r(&facts.st_mtime, &when);
  std::array<char, 128> text;
  const bool recent = facts.st_mtime <= now && facts.st_mtime > now - kHalfAYear;
  const auto month = kMonths[static_cast<std::size_t>(when.tm_mon)];
  int length = std::snprintf(
      text.data(), text.size(), "%s %4ju %-8u %-8u %12jd %s %2d ", mode_text(facts.st_mode).data(),
      static_cast<std::uintmax_t>(facts.st_nlink), facts.st_uid, facts.st_gid,
      static_cast<std::intmax_t>(facts.st_size), month, when.tm_mday);
  const auto at = static_cast<std::size_t>(length);
  length +=
      recent ? std::snprintf(&text[at], text.size() - at, "%02d:%02d ", when.tm_hour, when.tm_min)
             : std::snprintf(&text[at], text.size() - at, "%5d ", when.tm_year + 1900);
  std::string out{text.data(), static_cast<std::size_t>(length)};
  append_name(out, name);
  if (!link.empty()) {
    out.append(" -> ");
    append_name(out, link);
  }
  return out.append("\r\n");
}

std::string mlst_line(std::string_view name, const struct stat& facts, bool may_write, FactSet set,
                      std::string_view type) {
  std::string out;
  const auto add = [&](Fact fact, std::string_view value) {
    if ((set & bit(fact)) == 0) return;
    out.append(kFactNames.at(static_cast<std::size_t>(fact))).append("=").append(value).append(";");
  };
  std::array<char, 48> text;
  add(Fact::type, type.empty() ? type_of(facts.st_mode) : type);
  if (S_ISREG(facts.st_mode)) add(Fact::size, std::to_string(facts.st_size));
  add(Fact::modify, time_text(facts.st_mtime));
  add(Fact::perm, permissions(facts, may_write));
  std::snprintf(text.data(), text.size(), "%jxU%jx", static_cast<std::uintmax_t>(facts.st_dev),
                static_cast<std::uintmax_t>(facts.st_ino));
  add(Fact::unique, text.data());
  std::snprintf(text.data(), text.size(), "%04o", facts.st_mode & 07777U);
  add(Fact::unix_mode, text.data());
  out.push_back(' ');
  append_name(out, name);
  return out;
}

std::string time_text(std::time_t time) {
  std::tm when{};
  ::gmtime_r(&time, &when);
  std::array<char, 32> text;
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y%m%d%H%M%S", &when);
  return {text.data(), length};
}

// A fraction of a second may follow, and is dropped.
std::optional<std::time_t> parse_time(std::string_view text) {
  constexpr std::size_t kDigits = 14;
  if (text.size() > kDigits && (text[kDigits] != '.' || !number(text.substr(kDigits + 1))))
    return std::nullopt;
  text = text.substr(0, kDigits);
  if (text.size() != kDigits || !number(text.substr(0, 8)) || !number(text.substr(8)))
    return std::nullopt;
  std::tm when{};
  when.tm_year = *number(text.substr(0, 4)) - 1900;
  when.tm_mon = *number(text.substr(4, 2)) - 1;
  when.tm_mday = *number(text.substr(6, 2));
  when.tm_hour = *number(text.substr(8, 2));
  when.tm_min = *number(text.substr(10, 2));
  when.tm_sec = *number(text.substr(12, 2));
  // timegm(3) makes 1 March of 30 February: a time that does not come back as it was is none.
  const std::time_t time = ::timegm(&when);
  if (time_text(time) != text) return std::nullopt;
  return time;
}

DirectoryReader::DirectoryReader(UniqueFd directory) : directory_{::fdopendir(directory.fd())} {
  if (!directory_) throw_errno("fdopendir");
  static_cast<void>(directory.release());  // which closedir(3) closes
}

std::optional<std::string> DirectoryReader::next_name() {
  while (const dirent* const entry = ::readdir(directory_.get())) {
    const std::string_view name{entry->d_name};
    if (name != "." && name != "..") return std::string{name};
  }
  return std::nullopt;
}

std::optional<DirectoryReader::Entry> DirectoryReader::next() {
  while (auto name = next_name()) {
    Entry entry{.name = *std::move(name), .facts = {}, .link = {}};
    const int directory = ::dirfd(directory_.get());
    if (directory < 0) throw_errno("dirfd");
    if (::fstatat(directory, entry.name.c_str(), &entry.facts, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (S_ISLNK(entry.facts.st_mode)) {
      std::array<char, PATH_MAX> target;
      const ssize_t length =
          ::readlinkat(directory, entry.name.c_str(), target.data(), target.size());
      if (length > 0) entry.link.assign(target.data(), static_cast<std::size_t>(length));
    }
    return entry;
  }
  return std::nullopt;
}

}  // namespace procpool::ftp
