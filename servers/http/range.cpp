#include "servers/http/range.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>

#include "servers/http/detail/grammar.hpp"
#include "servers/http/request.hpp"

namespace procpool::http {
namespace {

constexpr auto kInfinite = std::numeric_limits<std::uint64_t>::max();

// Digits and nothing else; nullopt if there is no digit or anything else.
std::optional<std::uint64_t> parse_position(std::string_view text) noexcept {
  if (text.empty() || !std::all_of(text.begin(), text.end(), is_digit)) return std::nullopt;
  std::uint64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return parsed.ec == std::errc{} ? number : kInfinite;
}

// What is asked for, as [first, last] of the representation; empty when it has no byte of that.
// nullopt: it is no range.
struct Asked {
  bool empty = true;
  ByteRange range = {};
};
std::optional<Asked> parse_one(std::string_view text, std::uint64_t size) noexcept {
  const auto dash = text.find('-');
  if (dash == text.npos) return std::nullopt;
  const auto last = parse_position(text.substr(dash + 1));
  if (dash == 0) {
    if (!last) return std::nullopt;
    const std::uint64_t length = std::min(*last, size);
    return Asked{.empty = length == 0, .range = {size - length, length}};
  }
  const auto first = parse_position(text.substr(0, dash));
  if (!first || (!last && dash + 1 < text.size()) || (last && *last < *first)) return std::nullopt;
  if (*first >= size) return Asked{};
  const std::uint64_t end = std::min(last.value_or(kInfinite), size - 1) + 1;
  return Asked{.empty = false, .range = {*first, end - *first}};
}

bool overlap(const ByteRange& left, const ByteRange& right) noexcept {
  return left.first < right.first + right.length && right.first < left.first + left.length;
}

void join_overlapping(std::vector<ByteRange>& ranges) {
  std::vector<ByteRange> sorted = ranges;
  std::sort(sorted.begin(), sorted.end(),
            [](const ByteRange& left, const ByteRange& right) { return left.first < right.first; });
  std::vector<ByteRange> joined;
  for (const ByteRange& range : sorted) {
    if (joined.empty() || !overlap(joined.back(), range)) {
      joined.push_back(range);
      continue;
    }
    const std::uint64_t end =
        std::max(joined.back().first + joined.back().length, range.first + range.length);
    joined.back().length = end - joined.back().first;
  }
  if (joined.size() < ranges.size()) ranges = std::move(joined);
}

}  // namespace

RangeSet parse_range(std::string_view value, std::uint64_t size) {
  const auto equals = value.find('=');
  if (equals == value.npos || !equals_ignoring_case(value.substr(0, equals), "bytes")) return {};
  if (size == 0) return {};
  value.remove_prefix(equals + 1);

  RangeSet set{.kind = RangeSet::Kind::unsatisfiable};
  std::size_t asked_for = 0;
  for (bool more = true; more;) {
    const auto comma = value.find(',');
    const std::string_view element = trim(value.substr(0, comma));
    more = comma != value.npos;
    if (more) value.remove_prefix(comma + 1);
    if (element.empty()) continue;  // RFC 9110 §5.6.1.2
    const auto asked = parse_one(element, size);
    if (!asked || ++asked_for > kMostRanges) return {};
    if (!asked->empty) set.ranges.push_back(asked->range);
  }
  if (asked_for == 0) return {};
  if (set.ranges.empty()) return set;
  set.kind = RangeSet::Kind::satisfiable;
  join_overlapping(set.ranges);
  return set;
}

void append_content_range(const ByteRange& range, std::uint64_t size, std::string& out) {
  out.append("bytes ")
      .append(std::to_string(range.first))
      .append("-")
      .append(std::to_string(range.first + range.length - 1))
      .append("/")
      .append(std::to_string(size));
}

}  // namespace procpool::http
