// Conditions, ranges, expectations, and what answers must and must not have, on the wire.
#include <sys/stat.h>

#include <fstream>
#include <ostream>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/http_client.hpp"
#include "tests/support/http_server.hpp"

namespace procpool::test {
namespace {

constexpr const char* kModified = "Sun, 06 Nov 1994 08:49:37 GMT";
constexpr std::string_view kText = "0123456789";

// A request for a file of ten digits. TAG in its fields stands for the file's tag.
struct Case {
  std::string name;
  std::string fields;
  int status;
  std::string content_range = {};  // empty: there is none
  std::string body = {};           // of a 200 or a 206
  std::string method = "GET";
  std::string target = "/digits";
};

void PrintTo(const Case& the_case, std::ostream* out) {
  *out << the_case.method << " " << the_case.fields;
}

Case whole(std::string name, std::string fields) {
  return {std::move(name), std::move(fields), 200, "", std::string{kText}};
}

Case part(std::string name, std::string fields, std::string range, std::string body) {
  return {std::move(name), std::move(fields), 206, "bytes " + range + "/10", std::move(body)};
}

Case answered(std::string name, std::string fields, int status) {
  return {std::move(name), std::move(fields), status};
}

std::string line(std::string_view name, std::string_view value) {
  return std::string{name}.append(": ").append(value).append("\r\n");
}

std::vector<Case> ranges() {
  const auto range = [](std::string_view value) { return line("Range", value); };
  return {
      part("the_first_five", range("bytes=0-4"), "0-4", "01234"),
      part("the_last_five", range("bytes=-5"), "5-9", "56789"),
      part("all_behind_the_fifth", range("bytes=5-"), "5-9", "56789"),
      part("more_than_there_is", range("bytes=8-100"), "8-9", "89"),
      part("a_suffix_longer_than_the_file", range("bytes=-100"), "0-9", std::string{kText}),
      {"behind_the_end", range("bytes=9999-"), 416, "bytes */10"},
      {"an_empty_suffix", range("bytes=-0"), 416, "bytes */10"},
      whole("backwards", range("bytes=5-2")),
      whole("another_unit", range("lines=1-2")),
      whole("garbage", range("bytes=a-b")),
      whole("two_range_fields", range("bytes=0-4") + range("bytes=5-9")),
      part("overlapping_ones", range("bytes=0-2,1-4,2-3"), "0-4", "01234"),
      part("one_that_is_there_and_one_that_is_not", range("bytes=0-0,20-"), "0-0", "0"),
      {"of_HEAD", range("bytes=0-4"), 200, "", "", "HEAD"},
      {"of_what_is_not_there", range("bytes=0-4"), 404, "", "", "GET", "/none"},
  };
}

std::vector<Case> if_range() {
  const auto five_if = [](std::string_view value) {
    return line("Range", "bytes=0-4") + line("If-Range", value);
  };
  return {
      part("the_tag", five_if("TAG"), "0-4", "01234"),
      part("the_date", five_if(kModified), "0-4", "01234"),
      part("the_date_in_rfc850", five_if("Sunday, 06-Nov-94 08:49:37 GMT"), "0-4", "01234"),
      whole("another_tag", five_if("\"other\"")),
      whole("the_tag_as_a_weak_one", five_if("W/TAG")),
      whole("an_older_date", five_if("Sun, 06 Nov 1994 08:49:36 GMT")),
      whole("a_later_date", five_if("Sun, 06 Nov 1994 08:49:38 GMT")),
      whole("garbage", five_if("today")),
      whole("without_a_range", line("If-Range", "TAG")),
      whole("of_another_version_whose_range_would_be_416",
            line("Range", "bytes=99-") + line("If-Range", "\"other\"")),
  };
}

std::vector<Case> conditions() {
  const auto since = [](std::string_view date) { return line("If-Modified-Since", date); };
  const auto unmodified = [](std::string_view date) { return line("If-Unmodified-Since", date); };
  const auto match = [](std::string_view tags) { return line("If-Match", tags); };
  const auto none_match = [](std::string_view tags) { return line("If-None-Match", tags); };
  constexpr auto kEarlier = "Sun, 06 Nov 1994 08:49:36 GMT";
  return {
      answered("modified_since_an_equal_date", since(kModified), 304),
      answered("modified_since_a_later_date", since("Sun, 06 Nov 1994 08:49:38 GMT"), 304),
      answered("modified_since_a_date_to_come", since("Sun, 06 Nov 2094 08:49:38 GMT"), 304),
      answered("modified_since_rfc850", since("Sunday, 06-Nov-94 08:49:37 GMT"), 304),
      answered("modified_since_asctime", since("Sun Nov  6 08:49:37 1994"), 304),
      whole("modified_since_an_earlier_date", since(kEarlier)),
      whole("modified_since_garbage", since("garbage")),
      answered("none_match_star", none_match("*"), 304),
      answered("none_match_the_tag", none_match("TAG"), 304),
      answered("none_match_the_weak_form", none_match("W/TAG"), 304),
      answered("none_match_a_list", none_match("\"a\", TAG"), 304),
      whole("none_match_another_tag", none_match("\"a\"")),
      answered("none_match_and_an_older_date", none_match("TAG") + since(kEarlier), 304),
      whole("none_match_another_tag_and_the_date", none_match("\"a\"") + since(kModified)),
      answered("match_another_tag", match("\"a\""), 412),
      answered("match_the_weak_form", match("W/TAG"), 412),
      whole("match_the_tag", match("TAG")),
      whole("match_star", match("*")),
      whole("match_and_a_failing_date", match("TAG") + unmodified(kEarlier)),
      answered("unmodified_since_an_earlier_date", unmodified(kEarlier), 412),
      whole("unmodified_since_the_date", unmodified(kModified)),
      whole("unmodified_since_garbage", unmodified("garbage")),
      {"on_what_is_not_there", match("\"a\""), 404, "", "", "GET", "/none"},
      {"none_match_on_what_is_not_there", none_match("*"), 404, "", "", "GET", "/none"},
      {"of_HEAD", none_match("TAG"), 304, "", "", "HEAD"},
      answered("before_a_range", none_match("TAG") + line("Range", "bytes=0-4"), 304),
      answered("before_a_range_that_is_not_there", match("\"a\"") + line("Range", "bytes=99-"),
               412),
  };
}

class AnswerTo : public testing::TestWithParam<Case> {
 protected:
  AnswerTo() {
    std::ofstream{server_.root() / "digits"} << kText;
    const timespec times[] = {{784'111'777, 0}, {784'111'777, 0}};
    EXPECT_EQ(::utimensat(AT_FDCWD, (server_.root() / "digits").c_str(), times, 0), 0);
  }

  std::string fields(const Answer& original) const {
    return std::regex_replace(GetParam().fields, std::regex{"TAG"}, *original.field("etag"));
  }

  HttpServer server_{{.arguments = {"--workers", "1"}}};
  HttpClient client_{server_.port()};
};

TEST_P(AnswerTo, is_the_one_of_the_RFC) {
  const Case& expected = GetParam();
  const Answer original = client_.get("/digits");
  const To to = expected.method == "HEAD" ? To::head : To::get;
  client_.send(expected.method + " " + expected.target + " HTTP/1.1\r\nHost: a\r\n" +
               fields(original) + "\r\n");
  const Answer answer = client_.receive(to);
  EXPECT_EQ(answer.status, expected.status);
  EXPECT_EQ(answer.field("content-range").value_or(""), expected.content_range);
  if (answer.status < 300) {
    EXPECT_EQ(answer.body, expected.body);
    EXPECT_EQ(answer.field("content-type"), original.field("content-type"));
  }
  if (answer.status < 400) {
    for (const char* name : {"etag", "last-modified"})
      EXPECT_EQ(answer.field(name), original.field(name)) << name;
  }
  EXPECT_EQ(answer.field("accept-ranges").has_value(), answer.status == 200);
  EXPECT_TRUE(answer.field("date"));
  EXPECT_EQ(client_.get("/digits").body, kText);  // the connection stays in step
}

std::string name_of(const testing::TestParamInfo<Case>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Range, AnswerTo, testing::ValuesIn(ranges()), name_of);
INSTANTIATE_TEST_SUITE_P(IfRange, AnswerTo, testing::ValuesIn(if_range()), name_of);
INSTANTIATE_TEST_SUITE_P(Condition, AnswerTo, testing::ValuesIn(conditions()), name_of);

TEST(Answer, ignores_an_upgrade_to_what_it_does_not_speak) {
  const HttpServer server;
  std::ofstream{server.root() / "file"} << "text";
  HttpClient client{server.port()};
  client.send(get_request("/file",
                          "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c, websocket\r\n"
                          "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"));
  const Answer answer = client.receive();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.field("upgrade"), std::nullopt);
  EXPECT_EQ(client.get("/file").body, "text");
}

// --- several ranges in one answer ---

struct Part {
  std::string fields;
  std::string body;
};

// Strict: what a client of RFC 2046 understands and nothing else.
std::vector<Part> parts_of(const Answer& answer) {
  std::smatch found;
  const std::string type = answer.field("content-type").value_or("");
  if (!std::regex_match(type, found, std::regex{"multipart/byteranges; boundary=([0-9a-f]+)"})) {
    ADD_FAILURE() << type;
    return {};
  }
  const std::string delimiter = "\r\n--" + found[1].str();
  std::vector<Part> parts;
  std::string_view rest = answer.body;
  EXPECT_TRUE(rest.starts_with(delimiter));
  while (rest.starts_with(delimiter + "\r\n")) {
    rest.remove_prefix(delimiter.size() + 2);
    const auto body = rest.find("\r\n\r\n") + 4;
    const auto end = rest.find(delimiter, body);
    if (end == rest.npos) break;
    parts.push_back(
        {std::string{rest.substr(0, body - 2)}, std::string{rest.substr(body, end - body)}});
    rest.remove_prefix(end);
  }
  EXPECT_EQ(rest, delimiter + "--\r\n");
  return parts;
}

void expect_parts(std::size_t size) {
  const HttpServer server;
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 2654435761u >> 13);
  std::ofstream{server.root() / "file.txt", std::ios::binary} << text;
  HttpClient client{server.port()};
  for (int round = 0; round < 2; ++round) {
    client.send(get_request("/file.txt", "Range: bytes=0-0,-1,5-9\r\n"));
    const Answer answer = client.receive();
    EXPECT_EQ(answer.status, 206);
    EXPECT_EQ(answer.field("content-range"), std::nullopt);
    const auto parts = parts_of(answer);
    ASSERT_EQ(parts.size(), 3u);
    const std::string last = std::to_string(size - 1);
    const std::pair<std::string, std::string> expected[] = {
        {"0-0", text.substr(0, 1)},
        {last + "-" + last, text.substr(size - 1)},
        {"5-9", text.substr(5, 5)}};
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(parts[i].fields,
                "Content-Type: text/plain; charset=utf-8\r\nContent-Range: bytes " +
                    expected[i].first + "/" + std::to_string(size) + "\r\n");
      EXPECT_EQ(parts[i].body, expected[i].second);
    }
  }
}

TEST(Ranges, of_a_small_file_come_in_parts) {
  expect_parts(1000);
}

TEST(Ranges, of_a_large_file_come_in_parts) {
  expect_parts(1'000'000);
}

TEST(Ranges, that_overlap_in_hundreds_cost_no_more_than_the_file) {
  const HttpServer server;
  const std::string text(100'000, 'x');
  std::ofstream{server.root() / "file"} << text;
  HttpClient client{server.port()};
  std::string few = "Range: bytes=0-";
  for (int i = 1; i < 60; ++i) few += "," + std::to_string(i) + "-";
  client.send(get_request("/file", few + "\r\n"));
  const Answer joined = client.receive();
  EXPECT_EQ(joined.status, 206);
  EXPECT_EQ(joined.field("content-range"), "bytes 0-99999/100000");
  EXPECT_EQ(joined.body, text);

  std::string many = few;
  for (int i = 60; i < 1300; ++i) many += "," + std::to_string(i) + "-";
  client.send(get_request("/file", many + "\r\n"));
  const Answer whole_file = client.receive();
  EXPECT_EQ(whole_file.status, 200);
  EXPECT_EQ(whole_file.body, text);
}

TEST(Ranges, let_curl_resume) {
  const HttpServer server;
  std::string text(3'000'000, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 2654435761u >> 13);
  std::ofstream{server.root() / "file", std::ios::binary} << text;
  std::ofstream{server.folder() / "copy", std::ios::binary} << text.substr(0, 1'234'567);
  const HttpdRun run =
      run_program({"curl", "--silent", "--show-error", "--fail", "--noproxy", "*", "--continue-at",
                   "-", "--output", server.folder() / "copy", server.urls().at(0) + "file"});
  EXPECT_TRUE(run.status.success()) << run.errors;
  const HttpdRun compared = run_program({"cmp", server.root() / "file", server.folder() / "copy"});
  EXPECT_TRUE(compared.status.success()) << compared.output;
}

}  // namespace
}  // namespace procpool::test
