#include "servers/ftp/path.hpp"

#include <optional>

namespace procpool::ftp {
namespace {

// The length of the bracket expression at the front, and whether it has `c`. Nullopt: it is not
// one, and '[' stands for itself.
struct Bracket {
  std::size_t length;
  bool has;
};
std::optional<Bracket> bracket_at(std::string_view pattern, char c) noexcept {
  std::size_t at = 1;
  const bool negated = at < pattern.size() && (pattern[at] == '!' || pattern[at] == '^');
  if (negated) ++at;
  bool has = false;
  for (const std::size_t first = at; at < pattern.size(); ++at) {
    if (pattern[at] == ']' && at != first) return Bracket{.length = at + 1, .has = has != negated};
    if (at + 2 < pattern.size() && pattern[at + 1] == '-' && pattern[at + 2] != ']') {
      has |= pattern[at] <= c && c <= pattern[at + 2];
      at += 2;
    } else {
      has |= pattern[at] == c;
    }
  }
  return std::nullopt;
}

// How much of the pattern the one character takes. 0: it does not match.
std::size_t match_one(std::string_view pattern, char c) noexcept {
  if (pattern.empty()) return 0;
  if (pattern.front() == '?') return 1;
  if (pattern.front() == '[') {
    if (const auto bracket = bracket_at(pattern, c)) return bracket->has ? bracket->length : 0;
  }
  return pattern.front() == c ? 1 : 0;
}

}  // namespace

std::string resolve(std::string_view from, std::string_view path) {
  std::string out = path.starts_with('/') || from == "/" ? "" : std::string{from};
  while (!path.empty()) {
    const auto slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    path = slash == path.npos ? std::string_view{} : path.substr(slash + 1);
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      out.erase(out.empty() ? 0 : out.rfind('/'));
    } else {
      out.append("/").append(part);
    }
  }
  return out.empty() ? "/" : out;
}

std::string_view name_of(std::string_view path) noexcept {
  return path.substr(path.rfind('/') + 1);
}

std::string parent_of(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == 0 || slash == path.npos ? "/" : std::string{path.substr(0, slash)};
}

// Of several stars only the last one can have to give back what it took.
bool matches(std::string_view pattern, std::string_view name) noexcept {
  std::string_view after_star;
  std::string_view star_has_up_to;
  bool star = false;
  for (;;) {
    if (pattern.starts_with('*')) {
      pattern.remove_prefix(1);
      star = true;
      after_star = pattern;
      star_has_up_to = name;
      continue;
    }
    if (name.empty() && pattern.empty()) return true;
    const std::size_t taken = name.empty() ? 0 : match_one(pattern, name.front());
    if (taken != 0) {
      pattern.remove_prefix(taken);
      name.remove_prefix(1);
      continue;
    }
    if (!star || star_has_up_to.empty()) return false;
    star_has_up_to.remove_prefix(1);
    name = star_has_up_to;
    pattern = after_star;
  }
}

bool is_pattern(std::string_view text) noexcept {
  return text.find_first_of("*?[") != text.npos;
}

}  // namespace procpool::ftp
