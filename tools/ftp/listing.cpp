#include "tools/ftp/listing.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "servers/ftp/listing.hpp"
#include "tools/ftp/names.hpp"
#include "tools/ftp/reply.hpp"

namespace procpool::ftp_client {
namespace {

using Kind = Entry::Kind;

constexpr std::time_t kMinute = 60;
constexpr std::time_t kDay = 24 * 60 * kMinute;

bool same_word(std::string_view left, std::string_view right) {
  return std::ranges::equal(left, right, [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? a + 32 : a) == (b >= 'A' && b <= 'Z' ? b + 32 : b);
  });
}

bool starts_with_word(std::string_view text, std::string_view word) {
  return text.size() >= word.size() && same_word(text.substr(0, word.size()), word);
}

bool is_dots(std::string_view name) {
  return name == "." || name == "..";
}

std::optional<mode_t> octal(std::string_view digits) {
  mode_t mode = 0;
  for (const char c : digits) {
    if (c < '0' || c > '7' || mode > 0777) return std::nullopt;
    mode = mode * 8 + static_cast<mode_t>(c - '0');
  }
  return digits.empty() ? std::nullopt : std::optional{mode};
}

// False: it is an entry that nobody asked for.
bool set_type(Entry& entry, std::string_view type) {
  if (same_word(type, "cdir") || same_word(type, "pdir")) return false;
  if (same_word(type, "file")) {
    entry.kind = Kind::file;
  } else if (same_word(type, "dir")) {
    entry.kind = Kind::directory;
  } else if (starts_with_word(type, "OS.unix=slink") || starts_with_word(type, "OS.unix=symlink")) {
    entry.kind = Kind::link;
    if (const auto colon = type.find(':'); colon != type.npos) entry.link = type.substr(colon + 1);
  } else {
    entry.kind = Kind::other;
  }
  return true;
}

bool set_fact(Entry& entry, std::string_view name, std::string_view value) {
  if (same_word(name, "type")) return set_type(entry, value);
  if (same_word(name, "size")) entry.size = parse_number(value);
  if (same_word(name, "modify")) entry.modified = ftp::parse_time(value);
  if (same_word(name, "UNIX.mode")) entry.mode = octal(value);
  if (same_word(name, "unique")) entry.unique = value;
  return true;
}

// Words between spaces, and where each ends.
struct Word {
  std::string_view text;
  std::size_t end;
};
std::vector<Word> words_of(std::string_view line, std::size_t most) {
  std::vector<Word> words;
  words.reserve(most);
  for (std::size_t at = 0; words.size() < most;) {
    at = line.find_first_not_of(" \t", at);
    if (at == line.npos) break;
    const auto end = std::min(line.find_first_of(" \t", at), line.size());
    words.push_back({line.substr(at, end - at), end});
    at = end;
  }
  return words;
}

std::optional<int> number_up_to(std::string_view digits, int most) {
  const auto value = parse_number(digits);
  if (!value || *value > static_cast<std::uint64_t>(most)) return std::nullopt;
  return static_cast<int>(*value);
}

struct When {
  std::time_t time;
  std::time_t precision;
};

std::optional<When> time_of(int year, int month, int day, int hour, int minute,
                            std::time_t precision) {
  std::tm parts{};
  parts.tm_year = year - 1900;
  parts.tm_mon = month - 1;
  parts.tm_mday = day;
  parts.tm_hour = hour;
  parts.tm_min = minute;
  std::tm normal = parts;
  const std::time_t time = ::timegm(&normal);
  if (normal.tm_mday != day || normal.tm_mon != month - 1) return std::nullopt;
  return When{.time = time, .precision = precision};
}

struct Clock {
  int hour;
  int minute;
};
// "21:33", "09:33PM"
std::optional<Clock> clock_of(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == text.npos || text.size() < colon + 3) return std::nullopt;
  auto hour = number_up_to(text.substr(0, colon), 23);
  const auto minute = number_up_to(text.substr(colon + 1, 2), 59);
  const std::string_view half = text.substr(colon + 3);
  if (!hour || !minute) return std::nullopt;
  if (!half.empty()) {
    const bool afternoon = same_word(half, "PM");
    if (!afternoon && !same_word(half, "AM")) return std::nullopt;
    if (*hour < 1 || *hour > 12) return std::nullopt;
    hour = *hour % 12 + (afternoon ? 12 : 0);
  }
  return Clock{.hour = *hour, .minute = *minute};
}

int year_of(std::time_t time) {
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  return parts.tm_year + 1900;
}

// "Nov  6 09:49" or "Nov  6  2025"
std::optional<When> unix_time(std::string_view month, std::string_view day, std::string_view rest,
                              std::time_t now) {
  constexpr std::array<std::string_view, 12> kMonths{"jan", "feb", "mar", "apr", "may", "jun",
                                                     "jul", "aug", "sep", "oct", "nov", "dec"};
  const auto* const found =
      std::ranges::find_if(kMonths, [&](auto name) { return same_word(name, month); });
  const auto day_number = number_up_to(day, 31);
  if (found == kMonths.end() || !day_number) return std::nullopt;
  const int month_number = static_cast<int>(found - kMonths.begin()) + 1;
  if (const auto year = number_up_to(rest, 9999); year && rest.size() == 4)
    return time_of(*year, month_number, *day_number, 0, 0, kDay);
  const auto clock = clock_of(rest);
  if (!clock) return std::nullopt;
  for (int year = year_of(now + kDay); year > year_of(now) - 9; --year) {  // 29 February
    const auto when = time_of(year, month_number, *day_number, clock->hour, clock->minute, kMinute);
    if (when && when->time <= now + kDay) return when;
  }
  return std::nullopt;
}

// "2026-11-21", "11-21-26", "11-21-2026", "11/21/2026"
std::optional<When> numeric_time(std::string_view date, std::string_view time) {
  const auto clock = clock_of(time);
  const auto first = date.find_first_of("-/");
  if (!clock || first == date.npos) return std::nullopt;
  const auto second = date.find_first_of("-/", first + 1);
  if (second == date.npos) return std::nullopt;
  const auto a = number_up_to(date.substr(0, first), 9999);
  const auto b = number_up_to(date.substr(first + 1, second - first - 1), 31);
  const auto c = number_up_to(date.substr(second + 1), 9999);
  if (!a || !b || !c) return std::nullopt;
  if (first == 4) return time_of(*a, *b, *c, clock->hour, clock->minute, kMinute);
  const int year = *c >= 100 ? *c : *c + (*c < 70 ? 2000 : 1900);
  return time_of(year, *a, *b, clock->hour, clock->minute, kMinute);
}

std::optional<Kind> kind_of_letter(char letter) {
  switch (letter) {
    case '-':
      return Kind::file;
    case 'd':
      return Kind::directory;
    case 'l':
      return Kind::link;
    case 'b':
    case 'c':
    case 'p':
    case 's':
      return Kind::other;
    default:
      return std::nullopt;
  }
}

std::optional<mode_t> mode_of_letters(std::string_view letters) {
  constexpr std::string_view kFull = "rwxrwxrwx";
  mode_t mode = 0;
  for (std::size_t i = 0; i < kFull.size(); ++i) {
    const char c = letters[i];
    const mode_t bit = 0400U >> i;
    if (c == kFull[i]) {
      mode |= bit;
    } else if (i % 3 == 2 && (c == 's' || c == 't' || c == 'S' || c == 'T')) {
      mode |= (i == 2 ? S_ISUID : i == 5 ? S_ISGID : S_ISVTX) | (c == 's' || c == 't' ? bit : 0);
    } else if (c != '-') {
      return std::nullopt;
    }
  }
  return mode;
}

void set_name(Entry& entry, std::string_view line, std::size_t after) {
  constexpr std::string_view kArrow = " -> ";
  std::string_view name = line.substr(std::min(after + 1, line.size()));
  const auto arrow = entry.kind == Kind::link ? name.find(kArrow) : name.npos;
  if (arrow != name.npos) {
    entry.link = name.substr(arrow + kArrow.size());
    name = name.substr(0, arrow);
  }
  entry.name = name;
}

// Who owns it may be one word, two, or none: the size is the number before the date.
std::optional<Entry> parse_unix_line(std::string_view line, std::time_t now) {
  constexpr std::size_t kMostWords = 9;
  constexpr std::size_t kModeLetters = 10;
  const auto words = words_of(line, kMostWords);
  if (words.size() < 5 || words[0].text.size() < kModeLetters) return std::nullopt;
  const auto kind = kind_of_letter(words[0].text[0]);
  const auto mode = mode_of_letters(words[0].text.substr(1));
  if (!kind || !mode) return std::nullopt;
  for (std::size_t i = 2; i + 1 < words.size(); ++i) {
    const auto size = parse_number(words[i - 1].text);
    if (!size) continue;
    auto when = numeric_time(words[i].text, words[i + 1].text);
    std::size_t last = i + 1;
    if (!when && i + 2 < words.size()) {
      last = i + 2;
      when = unix_time(words[i].text, words[i + 1].text, words[last].text, now);
    }
    if (!when) continue;
    Entry entry{.name = {},
                .kind = *kind,
                .modified = when->time,
                .precision = when->precision,
                .mode = mode};
    if (*kind == Kind::file) entry.size = size;
    set_name(entry, line, words[last].end);
    return entry;
  }
  return std::nullopt;
}

std::optional<Entry> parse_dos_line(std::string_view line) {
  const auto words = words_of(line, 4);
  if (words.size() < 4) return std::nullopt;
  const auto when = numeric_time(words[0].text, words[1].text);
  if (!when) return std::nullopt;
  const bool folder = same_word(words[2].text, "<DIR>");
  Entry entry{.name = {},
              .kind = folder ? Kind::directory : Kind::file,
              .modified = when->time,
              .precision = when->precision};
  if (!folder) entry.size = parse_number(words[2].text);
  if (!folder && !entry.size) return std::nullopt;
  // Behind <DIR> spaces fill the column; a size stands at its end.
  const auto name = folder ? line.find_first_not_of(' ', words[2].end) : words[2].end + 1;
  entry.name = line.substr(std::min(name, line.size()));
  return entry;
}

}  // namespace

std::optional<Entry> parse_mlsd_line(std::string_view line) {
  const auto space = line.find(' ');
  if (space == line.npos) return std::nullopt;
  Entry entry{.name = std::string{line.substr(space + 1)}, .kind = Kind::other};
  std::string_view facts = line.substr(0, space);
  while (!facts.empty()) {
    const auto end = std::min(facts.find(';'), facts.size());
    const std::string_view fact = facts.substr(0, end);
    facts.remove_prefix(std::min(end + 1, facts.size()));
    const auto equals = fact.find('=');
    if (equals == fact.npos) return std::nullopt;
    if (!set_fact(entry, fact.substr(0, equals), fact.substr(equals + 1))) return std::nullopt;
  }
  if (entry.name.empty() || is_dots(entry.name)) return std::nullopt;
  return entry;
}

std::optional<Entry> parse_list_line(std::string_view line, std::time_t now) {
  auto entry = parse_unix_line(line, now);
  if (!entry) entry = parse_dos_line(line);
  if (!entry || entry->name.empty() || is_dots(entry->name)) return std::nullopt;
  return entry;
}

std::vector<Entry> parse_listing(std::string_view text, Format format, std::time_t now) {
  std::vector<Entry> entries;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    auto entry = format == Format::mlsd ? parse_mlsd_line(line) : parse_list_line(line, now);
    if (entry) entries.push_back(*std::move(entry));
  }
  return entries;
}

std::string line_of(const Entry& entry) {
  constexpr std::string_view kLetters = "-dl?";
  std::string text(1, kLetters[static_cast<std::size_t>(entry.kind)]);
  for (unsigned i = 0; i < 9; ++i) {
    const bool has = entry.mode && (*entry.mode & (0400U >> i)) != 0;
    text.push_back(has ? "rwx"[i % 3] : entry.mode ? '-' : '?');
  }
  std::array<char, 64> buffer;
  const std::string size = entry.size ? std::to_string(*entry.size) : "-";
  std::snprintf(buffer.data(), buffer.size(), " %14s  ", size.c_str());
  text.append(buffer.data());
  std::tm when{};
  const std::time_t time = entry.modified.value_or(0);
  ::localtime_r(&time, &when);
  std::strftime(buffer.data(), buffer.size(), "%Y-%m-%d %H:%M  ", &when);
  text.append(entry.modified ? buffer.data() : "                  ");
  text.append(printable(entry.name));
  if (entry.kind == Kind::directory) text.push_back('/');
  if (!entry.link.empty()) text.append(" -> ").append(printable(entry.link));
  return text;
}

}  // namespace procpool::ftp_client
