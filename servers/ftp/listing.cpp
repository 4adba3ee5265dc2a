#include "servers/ftp/listing.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
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

bool all_digits(std::string_view text) noexcept {
  return text.find_first_not_of("0123456789") == text.npos;
}

// Of nine digits at most.
std::optional<int> number(std::string_view digits) {
  int value = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    value = std::min(value, 99'999'999) * 10 + (c - '0');  // a fraction may have any length
  }
  return value;
}

// Numbers in columns, without printf(3): a listing is little else.
class Columns {
 public:
  explicit Columns(std::string& out) : out_{out} {}

  Columns& right(std::intmax_t number, std::size_t width, char fill = ' ') {
    const std::string_view digits = digits_of(number);
    out_.append(width - std::min(width, digits.size()), fill).append(digits);
    return *this;
  }
  Columns& left(std::intmax_t number, std::size_t width) {
    const std::string_view digits = digits_of(number);
    out_.append(digits).append(width - std::min(width, digits.size()), ' ');
    return *this;
  }
  Columns& text(std::string_view text) {
    out_.append(text);
    return *this;
  }

 private:
  std::string_view digits_of(std::intmax_t number) {
    const auto* const end =
        std::to_chars(digits_.data(), digits_.data() + digits_.size(), number).ptr;
    return {digits_.data(), static_cast<std::size_t>(end - digits_.data())};
  }

  std::string& out_;
  std::array<char, 24> digits_{};
};

}  // namespace

std::string name_line(std::string_view name) {
  std::string line;
  append_name(line, name);
  return line + "\r\n";
}

std::string list_line(std::string_view name, const struct stat& facts, std::time_t now,
                      std::string_view link) {
  std::tm when{};
  ::gmtime_r(&facts.st_mtime, &when);
  const bool recent = facts.st_mtime <= now && facts.st_mtime > now - kHalfAYear;
  std::string out;
  Columns line{out};
  line.text(mode_text(facts.st_mode).data()).text(" ");
  line.right(static_cast<std::intmax_t>(facts.st_nlink), 4).text(" ");
  line.left(facts.st_uid, 8).text(" ").left(facts.st_gid, 8).text(" ");
  line.right(facts.st_size, 12).text(" ");
  line.text(kMonths[static_cast<std::size_t>(when.tm_mon)]).text(" ").right(when.tm_mday, 2);
  if (recent) {
    line.text(" ").right(when.tm_hour, 2, '0').text(":").right(when.tm_min, 2, '0').text(" ");
  } else {
    line.text(" ").right(when.tm_year + 1900, 5).text(" ");
  }
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
  if (text.size() > kDigits && (text[kDigits] != '.' || !all_digits(text.substr(kDigits + 1))))
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
