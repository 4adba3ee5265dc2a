#include "servers/http/conditions.hpp"

#include <algorithm>
#include <cstddef>

#include "servers/http/detail/grammar.hpp"
#include "servers/http/http_date.hpp"

namespace procpool::http {
namespace {

constexpr std::string_view kWeak = "W/";

// etagc, RFC 9110 §8.8.3.
bool may_be_in_tag(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return byte == 0x21 || (byte >= 0x23 && byte != 0x7f);
}

// The length of the entity tag at the begin of `text`; 0: there is none.
std::size_t tag_length(std::string_view text) noexcept {
  const std::size_t begin = text.starts_with(kWeak) ? kWeak.size() : 0;
  if (begin >= text.size() || text[begin] != '"') return 0;
  const auto end = std::find_if_not(text.begin() + static_cast<std::ptrdiff_t>(begin) + 1,
                                    text.end(), may_be_in_tag);
  if (end == text.end() || *end != '"') return 0;
  return static_cast<std::size_t>(end - text.begin()) + 1;
}

using Match = bool (*)(std::string_view, std::string_view) noexcept;

bool names(std::string_view list, const Validators& current, Match match) noexcept {
  list = trim(list);
  if (list == "*") return true;
  for (;;) {
    while (!list.empty() && (is_white(list.front()) || list.front() == ',')) list.remove_prefix(1);
    const std::size_t length = tag_length(list);
    if (length == 0) return false;
    const std::string_view tag = list.substr(0, length);
    if (match(tag, current.etag) || match(tag, current.gzip_etag)) return true;
    list.remove_prefix(length);
    list = trim(list);
    if (!list.empty() && list.front() != ',') return false;
  }
}

// The fields that matter here, found in one pass: most requests have none of them.
struct Conditions {
  explicit Conditions(const Request& request) noexcept;

  bool has_match = false;
  bool has_none_match = false;
  std::optional<std::string_view> modified_since;
  std::optional<std::string_view> unmodified_since;
};

// A second value makes both worthless.
void note_date(std::optional<std::string_view>& date, std::string_view value) noexcept {
  date = date ? std::string_view{} : value;
}

Conditions::Conditions(const Request& request) noexcept {
  for (const Field& field : request.fields) {
    const std::string_view name = field.name;
    if (name.size() < 8 || to_lower(name.front()) != 'i' || name[2] != '-') continue;
    if (equals_ignoring_case(name, "if-match")) has_match = true;
    if (equals_ignoring_case(name, "if-none-match")) has_none_match = true;
    if (equals_ignoring_case(name, "if-modified-since")) note_date(modified_since, field.value);
    if (equals_ignoring_case(name, "if-unmodified-since")) note_date(unmodified_since, field.value);
  }
}

// A field may be repeated: its lists are one (RFC 9110 §5.3).
bool any_names(const Request& request, std::string_view name,
               const std::optional<Validators>& current, Match match) noexcept {
  if (!current) return false;
  return std::any_of(request.fields.begin(), request.fields.end(), [&](const Field& field) {
    return equals_ignoring_case(field.name, name) && names(field.value, *current, match);
  });
}

// nullopt: it cannot be told.
std::optional<bool> is_modified_since(std::optional<std::string_view> date,
                                      const std::optional<Validators>& current,
                                      std::time_t now) noexcept {
  if (!date || !current || !current->last_modified) return std::nullopt;
  const auto since = parse_http_date(*date, now);
  if (!since) return std::nullopt;
  return *current->last_modified > *since;
}

}  // namespace

bool matches_strongly(std::string_view left, std::string_view right) noexcept {
  return !left.empty() && left == right && !left.starts_with(kWeak);
}

bool matches_weakly(std::string_view left, std::string_view right) noexcept {
  for (std::string_view* tag : {&left, &right}) {
    if (tag->starts_with(kWeak)) tag->remove_prefix(kWeak.size());
  }
  return !left.empty() && left == right;
}

Verdict judge_conditions(const Request& request, const std::optional<Validators>& current,
                         std::time_t now) noexcept {
  const Conditions conditions{request};
  const bool reads = request.method == Method::get || request.method == Method::head;
  if (conditions.has_match) {
    if (!any_names(request, "if-match", current, matches_strongly))
      return Verdict::precondition_failed;
  } else if (is_modified_since(conditions.unmodified_since, current, now).value_or(false)) {
    return Verdict::precondition_failed;
  }
  if (conditions.has_none_match) {
    if (any_names(request, "if-none-match", current, matches_weakly))
      return reads ? Verdict::not_modified : Verdict::precondition_failed;
  } else if (reads && !is_modified_since(conditions.modified_since, current, now).value_or(true)) {
    return Verdict::not_modified;
  }
  return Verdict::proceed;
}

bool range_applies(const Request& request, const Validators& current, std::time_t now) noexcept {
  std::optional<std::string_view> condition;
  for (const Field& field : request.fields) {
    if (!equals_ignoring_case(field.name, "if-range")) continue;
    if (condition) return false;
    condition = field.value;
  }
  if (!condition) return true;
  if (tag_length(*condition) == condition->size() && !condition->empty())
    return matches_strongly(*condition, current.etag);
  const auto date = parse_http_date(*condition, now);
  return date && current.last_modified == date && *date < now;
}

}  // namespace procpool::http
