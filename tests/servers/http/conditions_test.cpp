// The conditions of a request: which are looked at, in which order, and what they say.
#include "servers/http/conditions.hpp"

#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace procpool::http {
namespace {

constexpr std::time_t kModified = 784'111'777;
constexpr std::time_t kNow = kModified + 1000;
constexpr std::string_view kSame = "Sun, 06 Nov 1994 08:49:37 GMT";
constexpr std::string_view kSame850 = "Sunday, 06-Nov-94 08:49:37 GMT";
constexpr std::string_view kSameAsctime = "Sun Nov  6 08:49:37 1994";
constexpr std::string_view kEarlier = "Sun, 06 Nov 1994 08:49:36 GMT";
constexpr std::string_view kLater = "Sun, 06 Nov 2094 08:49:38 GMT";

using FieldList = std::vector<Field>;

Request request_with(const FieldList& fields, Method method = Method::get) {
  Request request;
  request.method = method;
  for (const Field& field : fields) EXPECT_TRUE(request.fields.add(field));
  return request;
}

Verdict judge(const FieldList& fields, Method method = Method::get) {
  return judge_conditions(request_with(fields, method),
                          Validators{.etag = "\"a\"", .last_modified = kModified}, kNow);
}

Verdict judge_where_nothing_is(const FieldList& fields, Method method) {
  return judge_conditions(request_with(fields, method), std::nullopt, kNow);
}

bool applies(const FieldList& fields, std::string_view etag = "\"a\"", std::time_t now = kNow) {
  return range_applies(request_with(fields), {.etag = etag, .last_modified = kModified}, now);
}

constexpr auto kProceed = Verdict::proceed;
constexpr auto kNotModified = Verdict::not_modified;
constexpr auto kFailed = Verdict::precondition_failed;

TEST(Conditions, are_none_in_most_requests) {
  EXPECT_EQ(judge({}), kProceed);
  EXPECT_EQ(judge({{"Host", "a"}, {"If", "b"}, {"If-None", "\"a\""}, {"X-If-Match", "c"}}),
            kProceed);
}

TEST(Conditions, on_tags_are_lists) {
  for (const std::string_view list :
       {"\"a\"", "*", " * ", "\"b\", \"a\"", "\"b\",\"a\"", ",, \"b\" ,,\"a\",", "\"\", \"a\"",
        "\"b,\",\"a\"", "W/\"x\", \"a\""}) {
    EXPECT_EQ(judge({{"If-None-Match", list}}), kNotModified) << list;
    EXPECT_EQ(judge({{"If-Match", list}}), kProceed) << list;
  }
  for (const std::string_view list : {"\"b\"", "", "a", "\"a", "\"b\" \"a\"", "\"b\";\"a\"",
                                      "w/\"a\"", "\"A\"", "W/ \"a\"", "\"a \"", "**", "\"b\", *"}) {
    EXPECT_EQ(judge({{"If-None-Match", list}}), kProceed) << list;
    EXPECT_EQ(judge({{"If-Match", list}}), kFailed) << list;
  }
}

TEST(Conditions, on_tags_may_be_spread_over_fields) {
  EXPECT_EQ(judge({{"If-None-Match", "\"b\""}, {"if-none-match", "\"a\""}}), kNotModified);
  EXPECT_EQ(judge({{"If-Match", "\"b\""}, {"IF-MATCH", "\"a\""}}), kProceed);
}

TEST(Conditions, compare_weakly_only_where_a_copy_is_enough) {
  EXPECT_EQ(judge({{"If-None-Match", "W/\"a\""}}), kNotModified);
  EXPECT_EQ(judge({{"If-Match", "W/\"a\""}}), kFailed);
  const Validators weak{.etag = "W/\"a\"", .last_modified = {}};
  EXPECT_EQ(judge_conditions(request_with({{"If-None-Match", "\"a\""}}), weak, kNow), kNotModified);
  EXPECT_EQ(judge_conditions(request_with({{"If-Match", "W/\"a\""}}), weak, kNow), kFailed);
}

TEST(Conditions, on_dates_take_all_three_forms) {
  for (const std::string_view date : {kSame, kSame850, kSameAsctime, kLater}) {
    EXPECT_EQ(judge({{"If-Modified-Since", date}}), kNotModified) << date;
    EXPECT_EQ(judge({{"If-Unmodified-Since", date}}), kProceed) << date;
  }
  EXPECT_EQ(judge({{"If-Modified-Since", kEarlier}}), kProceed);
  EXPECT_EQ(judge({{"If-Unmodified-Since", kEarlier}}), kFailed);
}

TEST(Conditions, on_dates_are_ignored_when_they_are_none) {
  for (const std::string_view name : {"If-Modified-Since", "If-Unmodified-Since"}) {
    for (const std::string_view date : {"", "0", "yesterday", "Sun, 06 Nov 1994 08:49:37"}) {
      EXPECT_EQ(judge({{name, date}}), kProceed) << name << date;
    }
    EXPECT_EQ(judge({{name, kSame}, {name, kSame}}), kProceed) << name;
    EXPECT_EQ(judge({{name, kEarlier}, {name, kEarlier}}), kProceed) << name;
  }
}

TEST(Conditions, have_an_order_of_precedence) {
  EXPECT_EQ(judge({{"If-Match", "\"a\""}, {"If-Unmodified-Since", kEarlier}}), kProceed);
  EXPECT_EQ(judge({{"If-Unmodified-Since", kSame}, {"If-Match", "\"b\""}}), kFailed);
  EXPECT_EQ(judge({{"If-None-Match", "\"a\""}, {"If-Modified-Since", kEarlier}}), kNotModified);
  EXPECT_EQ(judge({{"If-Modified-Since", kSame}, {"If-None-Match", "\"b\""}}), kProceed);
  EXPECT_EQ(judge({{"If-None-Match", "\"a\""}, {"If-Match", "\"b\""}}), kFailed);
  EXPECT_EQ(judge({{"If-Modified-Since", kSame}, {"If-Unmodified-Since", kEarlier}}), kFailed);
  EXPECT_EQ(judge({{"If-Match", "\"a\""}, {"If-None-Match", "\"a\""}}), kNotModified);
}

TEST(Conditions, of_methods_that_change_something_fail_and_never_say_304) {
  EXPECT_EQ(judge({{"If-None-Match", "\"a\""}}, Method::put), kFailed);
  EXPECT_EQ(judge({{"If-None-Match", "*"}}, Method::put), kFailed);
  EXPECT_EQ(judge({{"If-Modified-Since", kSame}}, Method::put), kProceed);
  EXPECT_EQ(judge({{"If-None-Match", "\"a\""}}, Method::head), kNotModified);
}

TEST(Conditions, where_nothing_is_yet) {
  EXPECT_EQ(judge_where_nothing_is({{"If-None-Match", "*"}}, Method::put), kProceed);
  EXPECT_EQ(judge_where_nothing_is({{"If-Match", "*"}}, Method::put), kFailed);
  EXPECT_EQ(judge_where_nothing_is({{"If-Match", "\"a\""}}, Method::delete_), kFailed);
  EXPECT_EQ(judge_where_nothing_is({{"If-Unmodified-Since", kSame}}, Method::put), kProceed);
}

TEST(IfRange, lets_a_range_count_for_exactly_this_version) {
  EXPECT_TRUE(applies({}));
  EXPECT_TRUE(applies({{"If-Range", "\"a\""}}));
  for (const std::string_view date : {kSame, kSame850, kSameAsctime})
    EXPECT_TRUE(applies({{"If-Range", date}})) << date;
}

TEST(IfRange, is_false_for_another_version_or_a_weak_one) {
  for (const std::string_view value :
       {std::string_view{"\"b\""}, std::string_view{"W/\"a\""}, std::string_view{"*"},
        std::string_view{"\"a\", \"a\""}, std::string_view{""}, kEarlier, kLater}) {
    EXPECT_FALSE(applies({{"If-Range", value}})) << value;
  }
  EXPECT_FALSE(applies({{"If-Range", "W/\"a\""}}, "W/\"a\""));
  EXPECT_FALSE(applies({{"If-Range", "\"a\""}, {"If-Range", "\"a\""}}));
}

// The file could change again in the second that has not passed.
TEST(IfRange, does_not_trust_a_date_of_this_second) {
  EXPECT_FALSE(applies({{"If-Range", kSame}}, "\"a\"", kModified));
  EXPECT_TRUE(applies({{"If-Range", kSame}}, "\"a\"", kModified + 1));
}

}  // namespace
}  // namespace procpool::http
