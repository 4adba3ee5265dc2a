#include "servers/http/access_format.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>

#include "servers/http/detail/grammar.hpp"

namespace procpool::http {
namespace {

constexpr std::string_view kDigits = "0123456789ABCDEF";

bool needs_escape(char c) noexcept {
  return is_control(c) || c == '"' || c == '\\' || static_cast<unsigned char>(c) >= 0x80;
}

// Takes what needs no escape from the begin of `text`.
void append_plain(std::string_view& text, std::string& out) {
  const auto plain =
      static_cast<std::size_t>(std::find_if(text.begin(), text.end(), needs_escape) - text.begin());
  out.append(text.substr(0, plain));
  text.remove_prefix(plain);
}

template <typename Number>
void append_number(Number value, std::string& out) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out.append(digits.data(), end);
}

void append_quoted(std::string_view text, std::string& out) {
  out.push_back('"');
  if (text.empty()) out.push_back('-');
  for (append_plain(text, out); !text.empty(); append_plain(text, out)) {
    const auto byte = static_cast<unsigned char>(text.front());
    out.append({'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]});
    text.remove_prefix(1);
  }
  out.push_back('"');
}

void append_common(const AccessRecord& record, std::string& out) {
  out.append(record.client.empty() ? "-" : record.client).append(" - - [");
  out.append(record.time).append("] ");
  append_quoted(record.request_line, out);
  out.push_back(' ');
  append_number(static_cast<int>(record.status), out);
  out.push_back(' ');
  append_number(record.bytes, out);
}

void append_combined(const AccessRecord& record, std::string& out) {
  append_common(record, out);
  out.push_back(' ');
  append_quoted(record.referer, out);
  out.push_back(' ');
  append_quoted(record.user_agent, out);
}

// How long the character is that `text` begins with, if it is UTF-8 beyond ASCII and no control
// character; else 0. The Unicode Standard, version 15.0, table 3-7.
std::size_t length_of_character(std::string_view text) noexcept {
  struct Form {
    unsigned char first_from, first_to, second_from, second_to;
    std::size_t length;
  };
  static constexpr Form kForms[] = {
      {0xc2, 0xc2, 0xa0, 0xbf, 2}, {0xc3, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
      {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
      {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
  const auto is_between = [&](std::size_t at, unsigned char from, unsigned char to) {
    const auto byte = static_cast<unsigned char>(text[at]);
    return byte >= from && byte <= to;
  };
  for (const Form& form : kForms) {
    if (!is_between(0, form.first_from, form.first_to)) continue;
    if (text.size() < form.length || !is_between(1, form.second_from, form.second_to)) return 0;
    for (std::size_t at = 2; at < form.length; ++at) {
      if (!is_between(at, 0x80, 0xbf)) return 0;
    }
    return form.length;
  }
  return 0;
}

// Of the one character that `text` begins with; returns how many bytes it has.
std::size_t append_escaped_character(std::string_view text, std::string& out) {
  const auto byte = static_cast<unsigned char>(text.front());
  if (text.front() == '"' || text.front() == '\\') {
    out.append({'\\', text.front()});
  } else if (is_control(text.front())) {
    out.append("\\u00").append({kDigits[byte >> 4], kDigits[byte & 15]});
  } else if (const std::size_t length = length_of_character(text); length > 0) {
    out.append(text.substr(0, length));
    return length;
  } else {
    out.append("\xef\xbf\xbd");
  }
  return 1;
}

void append_json(std::string_view text, std::string& out) {
  if (text.empty()) {
    out.append("null");
    return;
  }
  out.push_back('"');
  for (append_plain(text, out); !text.empty(); append_plain(text, out))
    text.remove_prefix(append_escaped_character(text, out));
  out.push_back('"');
}

// "06/Nov/1994:09:49:37 +0100" as "1994-11-06T09:49:37+01:00": ISO 8601, as RFC 3339 narrows it.
void append_iso_time(std::string_view time, std::string& out) {
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  const std::size_t month = kMonths.find(time.substr(3, 3)) / 3 + 1;
  out.append({'"'}).append(time.substr(7, 4)).append({'-', kDigits[month / 10]});
  out.append({kDigits[month % 10], '-'}).append(time.substr(0, 2)).append({'T'});
  out.append(time.substr(12, 8)).append(time.substr(21, 3)).append({':'});
  out.append(time.substr(24, 2)).append({'"'});
}

struct RequestLine {
  std::string_view method, target, protocol;
};

RequestLine split(std::string_view line) noexcept {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == last) return {.method = {}, .target = line, .protocol = {}};
  return {.method = line.substr(0, first),
          .target = line.substr(first + 1, last - first - 1),
          .protocol = line.substr(last + 1)};
}

void append_object(const AccessRecord& record, std::string& out) {
  const RequestLine line = split(record.request_line);
  out.append("{\"time\":");
  append_iso_time(record.time, out);
  out.append(",\"client\":");
  append_json(record.client, out);
  out.append(",\"method\":");
  append_json(line.method, out);
  out.append(",\"target\":");
  append_json(line.target, out);
  out.append(",\"protocol\":");
  append_json(line.protocol, out);
  out.append(",\"status\":");
  append_number(static_cast<int>(record.status), out);
  out.append(",\"bytes\":");
  append_number(record.bytes, out);
  out.append(",\"referer\":");
  append_json(record.referer, out);
  out.append(",\"user_agent\":");
  append_json(record.user_agent, out);
  out.append(",\"duration_us\":");
  append_number(record.duration.count(), out);
  out.append(",\"worker\":");
  append_number(record.worker, out);
  out.push_back('}');
}

}  // namespace

void append_access_line(AccessFormat format, const AccessRecord& record, std::string& out) {
  switch (format) {
    case AccessFormat::common:
      append_common(record, out);
      break;
    case AccessFormat::combined:
      append_combined(record, out);
      break;
    case AccessFormat::json:
      append_object(record, out);
      break;
  }
  out.push_back('\n');
}

}  // namespace procpool::http
