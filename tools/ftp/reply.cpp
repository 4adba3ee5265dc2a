#include "tools/ftp/reply.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "tools/ftp/failure.hpp"
#include "tools/ftp/names.hpp"

namespace procpool::ftp_client {
namespace {

constexpr std::size_t kCodeDigits = 3;

[[noreturn]] void throw_nonsense(std::string_view reason, std::string_view line = {}) {
  constexpr std::size_t kShown = 60;
  throw Failure{ExitCode::protocol, "read reply", printable(line.substr(0, kShown)), reason};
}

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

// Nullopt: the line does not begin with one.
std::optional<int> code_of(std::string_view line) {
  if (line.size() < kCodeDigits || !std::ranges::all_of(line.substr(0, kCodeDigits), is_digit))
    return std::nullopt;
  const int code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
  if (code < 100 || code > 599) return std::nullopt;
  return code;
}

bool continues(std::string_view line) noexcept {
  return line.size() > kCodeDigits && line[kCodeDigits] == '-';
}

bool ends(std::string_view line, int code) {
  return code_of(line) == code && (line.size() == kCodeDigits || line[kCodeDigits] == ' ');
}

// Takes a number from the front.
std::optional<unsigned> take_number(std::string_view& text, unsigned most) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || value > most) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

std::optional<std::array<unsigned, 6>> six_numbers(std::string_view text) {
  std::array<unsigned, 6> numbers{};
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (i > 0) {
      if (!text.starts_with(',')) return std::nullopt;
      text.remove_prefix(1);
    }
    const auto number = take_number(text, 255);
    if (!number) return std::nullopt;
    numbers.at(i) = *number;
  }
  return numbers;
}

}  // namespace

std::optional<std::string> ReplyReader::next_line() {
  const auto end = text_.find('\n', seen_);
  if (end == text_.npos || end > kMostOfLine) {
    if (text_.size() > kMostOfLine) throw_nonsense("its line never ends", text_);
    seen_ = text_.size();
    return std::nullopt;
  }
  std::string line = text_.substr(0, end);
  text_.erase(0, end + 1);
  seen_ = 0;
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

std::optional<Reply> ReplyReader::next() {
  while (auto line = next_line()) {
    reply_bytes_ += line->size() + 1;
    if (reply_bytes_ > kMostOfReply) throw_nonsense("the reply never ends", *line);
    if (reply_.lines.empty()) {
      const auto code = code_of(*line);
      if (!code || !(continues(*line) || ends(*line, *code)))
        throw_nonsense("it is no reply of FTP", *line);
      reply_.code = *code;
    }
    const bool last = ends(*line, reply_.code);
    reply_.lines.push_back(*std::move(line));
    if (!last) continue;
    reply_bytes_ = 0;
    return std::exchange(reply_, {});
  }
  return std::nullopt;
}

std::optional<std::uint16_t> parse_epsv(std::string_view text) {
  const auto at = text.find('(');
  if (at == text.npos || at + 4 >= text.size()) return std::nullopt;
  const char bar = text[at + 1];
  if (is_digit(bar) || text[at + 2] != bar || text[at + 3] != bar) return std::nullopt;
  text.remove_prefix(at + 4);
  const auto port = take_number(text, 65535);
  if (!port || *port == 0 || !text.starts_with(bar)) return std::nullopt;
  return static_cast<std::uint16_t>(*port);
}

std::optional<PassiveAddress> parse_pasv(std::string_view text) {
  for (std::size_t at = std::min(kCodeDigits, text.size()); at < text.size(); ++at) {
    if (!is_digit(text[at]) || is_digit(text[at - 1])) continue;
    const auto numbers = six_numbers(text.substr(at));
    if (!numbers) continue;
    const auto& n = *numbers;
    const unsigned port = n[4] * 256 + n[5];
    if (port == 0) return std::nullopt;
    std::string host = std::to_string(n[0]);
    for (std::size_t i = 1; i < 4; ++i) host.append(".").append(std::to_string(n.at(i)));
    return PassiveAddress{.host = std::move(host), .port = static_cast<std::uint16_t>(port)};
  }
  return std::nullopt;
}

std::optional<std::string> parse_quoted_path(std::string_view text) {
  const auto first = text.find('"');
  if (first == text.npos) return std::nullopt;
  std::string path;
  for (std::size_t at = first + 1; at < text.size(); ++at) {
    if (text[at] == '"') {
      if (at + 1 == text.size() || text[at + 1] != '"') return path;
      ++at;
    }
    path.push_back(text[at]);
  }
  return std::nullopt;
}

std::optional<std::uint64_t> parse_number(std::string_view digits) {
  std::uint64_t value = 0;
  const char* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value);
  if (digits.empty() || error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

}  // namespace procpool::ftp_client
