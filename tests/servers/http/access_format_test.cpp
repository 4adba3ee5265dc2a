#include "servers/http/access_format.hpp"

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace procpool::http {
namespace {

using namespace std::chrono_literals;

AccessRecord record() {
  return {.client = "127.0.0.1",
          .time = "06/Nov/1994:09:49:37 +0100",
          .request_line = "GET / HTTP/1.1",
          .status = Status::ok,
          .bytes = 1024,
          .user_agent = "curl/7.88.1",
          .duration = 85us,
          .worker = 4712};
}

std::string line_of(AccessFormat format, const AccessRecord& record) {
  std::string out;
  append_access_line(format, record, out);
  return out;
}

// Parsed strictly: valid JSON in valid UTF-8, and one line.
nlohmann::json object_of(const AccessRecord& record) {
  const std::string line = line_of(AccessFormat::json, record);
  EXPECT_EQ(line.find('\n'), line.size() - 1) << line;
  return nlohmann::json::parse(line);
}

TEST(AccessFormat, common_and_combined_are_as_others_write_them) {
  const std::string common =
      "127.0.0.1 - - [06/Nov/1994:09:49:37 +0100] \"GET / HTTP/1.1\" 200 1024";
  EXPECT_EQ(line_of(AccessFormat::common, record()), common + "\n");
  EXPECT_EQ(line_of(AccessFormat::combined, record()), common + " \"-\" \"curl/7.88.1\"\n");
}

TEST(AccessFormat, cannot_be_forged_by_a_client) {
  AccessRecord bad = record();
  bad.request_line = "GET /\"\\\n\x1b[2J\x7f\xff";
  bad.user_agent = "\" 200 0\r\n";
  bad.client = "";
  EXPECT_EQ(line_of(AccessFormat::combined, bad),
            "- - - [06/Nov/1994:09:49:37 +0100] \"GET /\\x22\\x5C\\x0A\\x1B[2J\\x7F\\xFF\" 200 "
            "1024 \"-\" "
            "\"\\x22 200 0\\x0D\\x0A\"\n");
}

TEST(AccessFormat, json_is_an_object_with_all_that_is_known) {
  AccessRecord known = record();
  known.referer = "http://b/";
  EXPECT_EQ(line_of(AccessFormat::json, known),
            "{\"time\":\"1994-11-06T09:49:37+01:00\",\"client\":\"127.0.0.1\",\"method\":\"GET\","
            "\"target\":\"/\",\"protocol\":\"HTTP/1.1\",\"status\":200,\"bytes\":1024,"
            "\"referer\":\"http://b/\",\"user_agent\":\"curl/7.88.1\",\"duration_us\":85,"
            "\"worker\":4712}\n");
}

TEST(AccessFormat, json_has_null_for_what_is_not_known) {
  const auto object = object_of({.time = record().time, .status = Status::request_timeout});
  for (const char* key : {"client", "method", "target", "protocol", "referer", "user_agent"})
    EXPECT_TRUE(object.at(key).is_null()) << key;
  EXPECT_EQ(object.at("status"), 408);
}

TEST(AccessFormat, json_divides_a_request_line_at_its_outer_spaces) {
  AccessRecord odd = record();
  odd.request_line = "GET /a b HTTP/1.1";
  EXPECT_EQ(object_of(odd).at("target"), "/a b");
  odd.request_line = "nonsense";
  EXPECT_EQ(object_of(odd).at("target"), "nonsense");
  odd.request_line = "GET /";
  EXPECT_EQ(object_of(odd).at("target"), "GET /");
  EXPECT_TRUE(object_of(odd).at("method").is_null());
}

TEST(AccessFormat, json_keeps_what_is_utf_8_and_replaces_what_is_not) {
  AccessRecord foreign = record();
  const auto agent = [&](std::string_view text) {
    foreign.user_agent = text;
    return object_of(foreign).at("user_agent").get<std::string>();
  };
  const std::string replaced = "\xef\xbf\xbd";
  for (const std::string good : {"\xc3\xa4", "\xe2\x82\xac", "\xed\x9f\xbf", "\xee\x80\x80",
                                 "\xf0\x9f\x90\x8c", "\xf4\x8f\xbf\xbf", "\"\\/\b\t\r\n\x1b\x7f"})
    EXPECT_EQ(agent(good), good);
  EXPECT_EQ(agent(std::string{"\0", 1}), (std::string{"\0", 1}));
  for (const std::string bad : {"\x80", "\xc0", "\xc1", "\xf5", "\xff", "\xc3"})
    EXPECT_EQ(agent("a" + bad + "b"), "a" + replaced + "b");
  EXPECT_EQ(agent("\xed\xa0\x80"), replaced + replaced + replaced) << "a surrogate";
  EXPECT_EQ(agent("\xe0\x80\xaf"), replaced + replaced + replaced) << "too long a form";
  EXPECT_EQ(agent("\xf4\x90\x80\x80"), replaced + replaced + replaced + replaced) << "no such one";
  EXPECT_EQ(agent("\xc2\x9b"), replaced + replaced) << "a control code of terminals";
  EXPECT_EQ(agent("\xe2\x82"), replaced + replaced) << "cut";
}

TEST(AccessFormat, json_is_valid_whatever_bytes_a_client_has_sent) {
  std::mt19937 random{42};
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(1 + random() % 24, '\0');
    std::generate(bytes.begin(), bytes.end(), [&] {
      return static_cast<char>(random() % 3 == 0 ? random() % 256 : 0x78 + random() % 0x88);
    });
    const AccessRecord hostile{.client = bytes,
                               .time = record().time,
                               .request_line = bytes,
                               .referer = bytes,
                               .user_agent = bytes};
    ASSERT_NO_THROW(object_of(hostile)) << line_of(AccessFormat::json, hostile);
  }
}

TEST(AccessFormat, json_has_the_time_of_ISO_8601) {
  AccessRecord one = record();
  for (const auto& [log_time, iso_time] :
       {std::pair{"06/Nov/1994:09:49:37 +0100", "1994-11-06T09:49:37+01:00"},
        std::pair{"31/Jan/2026:23:59:60 +0000", "2026-01-31T23:59:60+00:00"},
        std::pair{"01/Dec/2026:00:00:00 -0330", "2026-12-01T00:00:00-03:30"}}) {
    one.time = log_time;
    EXPECT_EQ(object_of(one).at("time"), iso_time);
  }
}

}  // namespace
}  // namespace procpool::http
