#include "servers/http/http_date.hpp"

#include <ctime>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "servers/http/clock_text.hpp"

namespace procpool::http {
namespace {

constexpr std::time_t kNow = 1'700'000'000;  // Tue, 14 Nov 2023 22:13:20 GMT
constexpr std::time_t kExample = 784'111'777;

std::string format(std::time_t time) {
  const HttpDate date = format_http_date(time);
  return {date.data(), date.size()};
}

std::optional<std::time_t> parse(std::string_view text) {
  return parse_http_date(text, kNow);
}

TEST(HttpDate, is_written_as_imf_fixdate) {
  EXPECT_EQ(format(kExample), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(format(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(format(951'782'399), "Mon, 28 Feb 2000 23:59:59 GMT");
  EXPECT_EQ(format(951'782'400), "Tue, 29 Feb 2000 00:00:00 GMT");
  EXPECT_EQ(format(-1), "Wed, 31 Dec 1969 23:59:59 GMT");
}

TEST(HttpDate, stays_within_four_digits_of_a_year) {
  EXPECT_EQ(format(std::numeric_limits<std::time_t>::max()), "Fri, 31 Dec 9999 23:59:59 GMT");
  EXPECT_EQ(format(std::numeric_limits<std::time_t>::min()), "Sat, 01 Jan 0000 00:00:00 GMT");
}

TEST(HttpDate, agrees_with_the_c_library_and_reads_what_it_writes) {
  for (std::time_t time = -2'000'000'000; time < 4'000'000'000; time += 12'345'679) {
    std::tm parts{};
    ::gmtime_r(&time, &parts);
    char text[64];
    std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    EXPECT_EQ(format(time), text);
    EXPECT_EQ(parse(text), time);
    std::strftime(text, sizeof text, "%a %b %e %H:%M:%S %Y", &parts);
    EXPECT_EQ(parse(text), time) << text;
  }
}

TEST(HttpDate, is_read_in_three_formats) {
  EXPECT_EQ(parse("Sun, 06 Nov 1994 08:49:37 GMT"), kExample);
  EXPECT_EQ(parse("Sunday, 06-Nov-94 08:49:37 GMT"), kExample);
  EXPECT_EQ(parse("Sun Nov  6 08:49:37 1994"), kExample);
  EXPECT_EQ(parse("Sun Nov 16 08:49:37 1994"), kExample + 10 * 86'400);
}

TEST(HttpDate, takes_a_year_of_two_digits_for_the_nearer_past) {
  const auto year_of = [](std::string_view digits) {
    const auto time = parse("Sunday, 06-Nov-" + std::string{digits} + " 08:49:37 GMT");
    return format(time.value()).substr(12, 4);
  };
  EXPECT_EQ(year_of("23"), "2023");
  EXPECT_EQ(year_of("00"), "2000");
  EXPECT_EQ(year_of("73"), "2073");
  EXPECT_EQ(year_of("74"), "1974");
  EXPECT_EQ(year_of("99"), "1999");
}

TEST(HttpDate, takes_a_leap_second) {
  EXPECT_EQ(parse("Sat, 31 Dec 2016 23:59:60 GMT"), parse("Sun, 01 Jan 2017 00:00:00 GMT"));
}

TEST(HttpDate, is_nothing_else) {
  for (const std::string_view text :
       {"", "garbage", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 GMT ",
        " Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT", "Sun, 06 Nov 1994 08:49:61 GMT",
        "Wed, 30 Feb 1994 08:49:37 GMT", "Wed, 29 Feb 1900 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT",
        "Son, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov -994 08:49:37 GMT", "784111777",
        "Sun Nov 6 08:49:37 1994", "Sunday, 06-Nov-1994 08:49:37 GMT"}) {
    EXPECT_EQ(parse(text), std::nullopt) << text;
  }
}

TEST(ClockText, is_made_anew_when_the_second_changes) {
  ClockText clock{kExample};
  EXPECT_EQ(clock.http_date(), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_FALSE(clock.update(kExample));
  EXPECT_TRUE(clock.update(kExample + 1));
  EXPECT_EQ(clock.http_date(), "Sun, 06 Nov 1994 08:49:38 GMT");
  EXPECT_EQ(clock.now(), kExample + 1);
}

TEST(ClockText, has_the_zone_of_the_process_in_the_log) {
  ::setenv("TZ", "UTC-5:30", 1);
  ::tzset();
  const ClockText clock{kExample};
  EXPECT_EQ(clock.log_time(), "06/Nov/1994:14:19:37 +0530");
  ::unsetenv("TZ");
  ::tzset();
}

}  // namespace
}  // namespace procpool::http
