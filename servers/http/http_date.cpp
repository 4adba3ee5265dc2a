#include "servers/http/http_date.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>

#include "servers/http/detail/grammar.hpp"

namespace procpool::http {
namespace {

namespace chrono = std::chrono;
using chrono::sys_days, chrono::sys_seconds, chrono::year_month_day;

constexpr std::array<std::string_view, 7> kDays{"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

constexpr sys_seconds kFirst = sys_days{chrono::year{0} / 1 / 1};
constexpr sys_seconds kLast = sys_days{chrono::year{10000} / 1 / 1} - chrono::seconds{1};

// Reads a date from its begin to its end. What has failed once fails in all that follows.
class Reader {
 public:
  explicit Reader(std::string_view text) noexcept : rest_{text} {}

  void literal(std::string_view text) noexcept {
    if (rest_.starts_with(text)) {
      rest_.remove_prefix(text.size());
    } else {
      fail();
    }
  }

  int number(std::size_t digits) noexcept {
    int value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      if (rest_.size() <= i || !is_digit(rest_[i])) return fail();
      value = value * 10 + (rest_[i] - '0');
    }
    rest_.remove_prefix(digits);
    return value;
  }

  // asctime pads a day of one digit with a space.
  int padded_day() noexcept {
    if (!rest_.starts_with(' ')) return number(2);
    rest_.remove_prefix(1);
    return number(1);
  }

  // The index of the name that comes, of which `size` characters are written out.
  template <std::size_t N>
  int name(const std::array<std::string_view, N>& names, std::size_t size) noexcept {
    for (std::size_t i = 0; i < N; ++i) {
      const auto name = names[i].substr(0, size);
      if (!rest_.starts_with(name)) continue;
      rest_.remove_prefix(name.size());
      return static_cast<int>(i);
    }
    return fail();
  }

  bool at_end() const noexcept { return !failed_ && rest_.empty(); }

 private:
  int fail() noexcept {
    failed_ = true;
    rest_ = {};
    return 0;
  }

  std::string_view rest_;
  bool failed_ = false;
};

struct Fields {
  int year, month, day, hour, minute, second;
};

void read_clock(Reader& reader, Fields& fields) noexcept {
  fields.hour = reader.number(2);
  reader.literal(":");
  fields.minute = reader.number(2);
  reader.literal(":");
  fields.second = reader.number(2);
}

std::optional<std::time_t> to_time(const Fields& fields) noexcept {
  const year_month_day date{chrono::year{fields.year},
                            chrono::month{static_cast<unsigned>(fields.month + 1)},
                            chrono::day{static_cast<unsigned>(fields.day)}};
  if (!date.ok() || fields.hour > 23 || fields.minute > 59 || fields.second > 60) {
    return std::nullopt;
  }
  const auto time = sys_seconds{sys_days{date}} + chrono::hours{fields.hour} +
                    chrono::minutes{fields.minute} + chrono::seconds{fields.second};
  return time.time_since_epoch().count();
}

// Sun, 06 Nov 1994 08:49:37 GMT
std::optional<std::time_t> parse_imf_fixdate(std::string_view text) noexcept {
  Reader reader{text};
  Fields fields;
  reader.name(kDays, 3);
  reader.literal(", ");
  fields.day = reader.number(2);
  reader.literal(" ");
  fields.month = reader.name(kMonths, 3);
  reader.literal(" ");
  fields.year = reader.number(4);
  reader.literal(" ");
  read_clock(reader, fields);
  reader.literal(" GMT");
  return reader.at_end() ? to_time(fields) : std::nullopt;
}

// Sunday, 06-Nov-94 08:49:37 GMT
std::optional<std::time_t> parse_rfc850(std::string_view text, std::time_t now) noexcept {
  Reader reader{text};
  Fields fields;
  reader.name(kDays, std::string_view::npos);
  reader.literal(", ");
  fields.day = reader.number(2);
  reader.literal("-");
  fields.month = reader.name(kMonths, 3);
  reader.literal("-");
  const int short_year = reader.number(2);
  reader.literal(" ");
  read_clock(reader, fields);
  reader.literal(" GMT");
  if (!reader.at_end()) return std::nullopt;

  const year_month_day today{chrono::floor<chrono::days>(sys_seconds{chrono::seconds{now}})};
  const int this_year = static_cast<int>(today.year());
  fields.year = this_year - this_year % 100 + short_year;
  if (fields.year > this_year + 50) fields.year -= 100;
  return to_time(fields);
}

// Sun Nov  6 08:49:37 1994
std::optional<std::time_t> parse_asctime(std::string_view text) noexcept {
  Reader reader{text};
  Fields fields;
  reader.name(kDays, 3);
  reader.literal(" ");
  fields.month = reader.name(kMonths, 3);
  reader.literal(" ");
  fields.day = reader.padded_day();
  reader.literal(" ");
  read_clock(reader, fields);
  reader.literal(" ");
  fields.year = reader.number(4);
  return reader.at_end() ? to_time(fields) : std::nullopt;
}

char* put(char* at, std::string_view text) noexcept {
  return std::copy(text.begin(), text.end(), at);
}

char* put_number(char* at, long value, int digits) noexcept {
  for (int i = digits - 1; i >= 0; --i, value /= 10) at[i] = static_cast<char>('0' + value % 10);
  return at + digits;
}

}  // namespace

HttpDate format_http_date(std::time_t time) noexcept {
  const auto moment = std::clamp(sys_seconds{chrono::seconds{time}}, kFirst, kLast);
  const auto midnight = chrono::floor<chrono::days>(moment);
  const year_month_day date{midnight};
  const chrono::hh_mm_ss clock{moment - midnight};

  HttpDate text;
  char* at = put(text.data(), kDays[chrono::weekday{midnight}.c_encoding()].substr(0, 3));
  at = put(at, ", ");
  at = put_number(at, static_cast<long>(static_cast<unsigned>(date.day())), 2);
  at = put(at, " ");
  at = put(at, kMonths[static_cast<unsigned>(date.month()) - 1]);
  at = put(at, " ");
  at = put_number(at, static_cast<int>(date.year()), 4);
  at = put(at, " ");
  at = put_number(at, clock.hours().count(), 2);
  at = put(at, ":");
  at = put_number(at, clock.minutes().count(), 2);
  at = put(at, ":");
  at = put_number(at, clock.seconds().count(), 2);
  put(at, " GMT");
  return text;
}

std::optional<std::time_t> parse_http_date(std::string_view text, std::time_t now) noexcept {
  if (const auto time = parse_imf_fixdate(text)) return time;
  if (const auto time = parse_rfc850(text, now)) return time;
  return parse_asctime(text);
}

}  // namespace procpool::http
