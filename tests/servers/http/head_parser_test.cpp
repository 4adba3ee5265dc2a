#include "servers/http/head_parser.hpp"

#include <initializer_list>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "tests/servers/http/parsed_head.hpp"

namespace procpool::http {
namespace {

using namespace std::string_literals;
using State = HeadParser::State;

void expect_fields(Status expected, std::initializer_list<std::string_view> rows,
                   std::string_view line = "POST / HTTP/1.1") {
  for (const std::string_view fields : rows) {
    EXPECT_EQ(parse_fields(fields, line).status(), expected) << fields;
  }
}

void expect_lines(Status expected, std::initializer_list<std::string_view> rows) {
  for (const std::string_view line : rows) {
    EXPECT_EQ(parse_line(line).status(), expected) << line;
  }
}

// --- what is understood ---

TEST(HeadParser, understands_a_request) {
  const ParsedHead head{
      "GET /a/b.html?x=1&y HTTP/1.1\r\nHost: example.org:8080\r\nAccept:\t */* \r\n\r\nnext"};
  ASSERT_EQ(head.status(), Status::ok);
  const Request& request = head.request;
  EXPECT_EQ(head.result.size, head.text.size() - 4);
  EXPECT_EQ(request.line, "GET /a/b.html?x=1&y HTTP/1.1");
  EXPECT_EQ(request.method, Method::get);
  EXPECT_EQ(request.method_name, "GET");
  EXPECT_EQ(request.target_form, TargetForm::origin);
  EXPECT_EQ(request.target, "/a/b.html?x=1&y");
  EXPECT_EQ(request.path, "/a/b.html");
  EXPECT_EQ(request.query, "x=1&y");
  EXPECT_EQ(request.host, "example.org:8080");
  EXPECT_EQ(request.minor_version, 1);
  EXPECT_EQ(request.body_framing, BodyFraming::none);
  EXPECT_TRUE(request.keep_alive);
  EXPECT_FALSE(request.expect_continue);
  EXPECT_EQ(request.fields.size(), 2u);
  EXPECT_EQ(request.field("ACCEPT"), "*/*");
  EXPECT_EQ(request.field("accept-language"), std::nullopt);
}

TEST(HeadParser, is_incomplete_up_to_the_last_byte) {
  const std::string text = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_TRUE(ParsedHead{text.substr(0, size)}.incomplete()) << size;
  }
}

TEST(HeadParser, parses_pipelined_requests_one_after_another) {
  const std::string text =
      "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nHEAD /2 HTTP/1.0\r\n\r\nGET /3 HTTP/1.1\r\nHost: "
      "b\r\n\r\n";
  std::string_view rest = text;
  HeadParser parser;
  Request request;
  for (const std::string_view path : {"/1", "/2", "/3"}) {
    const auto head = parser.parse(rest, request);
    ASSERT_EQ(head.state, State::complete);
    EXPECT_EQ(request.path, path);
    rest.remove_prefix(head.size);
  }
  EXPECT_TRUE(rest.empty());
  EXPECT_EQ(request.host, "b");
  EXPECT_EQ(request.method, Method::get);
}

TEST(HeadParser, tells_the_line_of_a_bad_request_for_the_log) {
  EXPECT_EQ(parse_fields("no colon").request.line, "GET / HTTP/1.1");
  EXPECT_EQ(parse_line("HEAD * HTTP/1.1").request.line, "HEAD * HTTP/1.1");
  EXPECT_EQ(parse_fields(" fold", "HEAD / HTTP/1.1").request.method, Method::head);
}

TEST(HeadParser, keeps_repeated_fields_apart) {
  const auto head = parse_fields("X: 1\r\nx: 2");
  ASSERT_EQ(head.status(), Status::ok);
  EXPECT_EQ(head.request.field("X"), "1");
  EXPECT_EQ(head.request.fields.size(), 3u);
  EXPECT_EQ((head.request.fields.begin() + 2)->value, "2");
}

TEST(HeadParser, takes_an_empty_value_and_bytes_beyond_ascii) {
  const auto head = parse_fields("A:\r\nB: \xc3\xa4\xff");
  ASSERT_EQ(head.status(), Status::ok);
  EXPECT_EQ(head.request.field("a"), "");
  EXPECT_EQ(head.request.field("b"), "\xc3\xa4\xff");
}

// --- framing ---

TEST(HeadParser, takes_a_length) {
  const auto head = parse_fields("content-LENGTH: 0042", "POST / HTTP/1.1");
  ASSERT_EQ(head.status(), Status::ok);
  EXPECT_EQ(head.request.body_framing, BodyFraming::length);
  EXPECT_EQ(head.request.content_length, 42u);
  EXPECT_EQ(parse_fields("Content-Length: 18446744073709551615").request.content_length,
            18446744073709551615u);
}

TEST(HeadParser, takes_chunks) {
  const auto head = parse_fields("Transfer-Encoding: Chunked ", "POST / HTTP/1.1");
  ASSERT_EQ(head.status(), Status::ok);
  EXPECT_EQ(head.request.body_framing, BodyFraming::chunked);
}

TEST(HeadParser, refuses_a_length_beside_chunks) {
  expect_fields(Status::bad_request, {"Content-Length: 5\r\nTransfer-Encoding: chunked",
                                      "Transfer-Encoding: chunked\r\nContent-Length: 5",
                                      "Content-Length: 5\r\nTransfer-Encoding: gzip",
                                      "Transfer-Encoding: gzip\r\nContent-Length: 0"});
}

TEST(HeadParser, refuses_two_lengths_and_whatever_is_no_length) {
  expect_fields(
      Status::bad_request,
      {"Content-Length: 5\r\nContent-Length: 6", "Content-Length: 5\r\nContent-Length: 5",
       "Content-Length: 5, 5", "Content-Length: 5,", "Content-Length: ,5", "Content-Length: +5",
       "Content-Length: -1", "Content-Length: 0x5", "Content-Length:", "Content-Length: 5 5",
       "Content-Length: 5;a", "Content-Length: 5.0", "Content-Length: 18446744073709551621",
       "Content-Length: \"5\""});
}

TEST(HeadParser, refuses_chunks_in_1_0) {
  expect_fields(Status::bad_request, {"Transfer-Encoding: chunked", "Transfer-Encoding: gzip"},
                "POST / HTTP/1.0");
}

TEST(HeadParser, does_not_implement_other_codings) {
  expect_fields(Status::not_implemented,
                {"Transfer-Encoding: gzip", "Transfer-Encoding: gzip, chunked",
                 "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
                 "Transfer-Encoding: identity", "Transfer-Encoding: xchunked",
                 "Transfer-Encoding: chunked;q=1", "Transfer-Encoding: \"chunked\""});
}

TEST(HeadParser, refuses_codings_that_leave_the_end_unknown) {
  expect_fields(
      Status::bad_request,
      {"Transfer-Encoding: chunked, gzip", "Transfer-Encoding: chunked, chunked",
       "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
       "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip",
       "Transfer-Encoding: \x0b"
       "chunked",
       "Transfer-Encoding:", "Transfer-Encoding: ,chunked", "Transfer-Encoding: chunked,"});
}

// --- syntax ---

TEST(HeadParser, refuses_folded_fields) {
  expect_fields(Status::bad_request, {"A: b\r\n c", "A: b\r\n\tc", "A: b\r\n ", "A:\r\n b"});
}

TEST(HeadParser, refuses_a_field_without_a_proper_name) {
  expect_fields(Status::bad_request, {"A : b", "X[]: 1", "no colon", ": value", "A\tB: c",
                                      "\xc3\xa4: b", "A(b): c", "\"A\": b"});
}

TEST(HeadParser, refuses_white_space_before_the_first_field) {
  EXPECT_EQ(ParsedHead{"GET / HTTP/1.1\r\n Host: a\r\n\r\n"}.status(), Status::bad_request);
  EXPECT_EQ(ParsedHead{"GET / HTTP/1.1\r\n\tHost: a\r\n\r\n"}.status(), Status::bad_request);
}

TEST(HeadParser, refuses_control_bytes_in_values) {
  expect_fields(Status::bad_request, {"A: b\x01", "A: \x7f",
                                      "A: b\x0b"
                                      "c",
                                      "A: \x1b[2J"});
}

TEST(HeadParser, refuses_bare_ends_of_lines_and_nul_as_soon_as_they_are_seen) {
  for (const std::string& text :
       {"\n"s, "\r\r"s, "GET\r "s, "GET\n"s, "GET\0"s, "\0"s, "GET / HTTP/1.1\n"s,
        "GET / HTTP/1.1\r\nHost: a\n"s, "GET / HTTP/1.1\r\nHost: a\rb"s,
        "GET / HTTP/1.1\r\nHost: a\r\r"s, "GET / HTTP/1.1\r\nHost: \0"s,
        "GET / HTTP/1.1\r\nHost: a\r\n\n"s, "GET / HTTP/1.1\r\nHost: a\r\n "s}) {
    EXPECT_EQ(ParsedHead{text}.status(), Status::bad_request) << text;
    EXPECT_TRUE(ParsedHead{text.substr(0, text.size() - 1)}.incomplete()) << text;
  }
}

TEST(HeadParser, ignores_a_few_empty_lines_before_a_request) {
  const ParsedHead head{"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"};
  ASSERT_EQ(head.status(), Status::ok);
  EXPECT_EQ(head.result.size, head.text.size());
  EXPECT_EQ(head.request.line, "GET / HTTP/1.1");
  EXPECT_EQ(ParsedHead{"\r\n\r\n\r\n\r\n\r\n"}.status(), Status::bad_request);
}

TEST(HeadParser, refuses_a_request_line_that_is_not_three_words) {
  expect_lines(Status::bad_request,
               {"GET / a HTTP/1.1", "GET /a\tb HTTP/1.1", "GET  / HTTP/1.1", "GET /  HTTP/1.1",
                "GET / HTTP/1.1 ", " GET / HTTP/1.1", "GET\t/ HTTP/1.1", "GET", "GET ", "GET  ",
                "GET /\x01 HTTP/1.1", "GET /\x7f HTTP/1.1", "G(T / HTTP/1.1", "GET / / HTTP/1.1"});
}

TEST(HeadParser, judges_the_request_line_as_soon_as_it_ends) {
  EXPECT_EQ(ParsedHead{"GET /\r\n"}.status(), Status::bad_request);
  EXPECT_EQ(ParsedHead{"GET / HTTP/2.0\r\n"}.status(), Status::http_version_not_supported);
  EXPECT_EQ(ParsedHead{"BREW / HTTP/1.1\r\n"}.status(), Status::not_implemented);
  EXPECT_TRUE(ParsedHead{"GET / HTTP/1.1\r\n"}.incomplete());
}

TEST(HeadParser, refuses_what_is_no_version) {
  expect_lines(Status::bad_request,
               {"GET / http/1.1", "GET / HTTP/01.1", "GET / HTTP/1", "GET / HTTP/1.",
                "GET / HTTP/1.10", "GET / HTTP/1,1", "GET / HTTP/a.1", "GET / HTTP/1.a",
                "GET / HTTP", "GET / FTP/1.1", "GET /", "GET / HTTP/0.9", "GET / HTTP /1.1"});
}

TEST(HeadParser, serves_later_versions_of_1_as_1_1) {
  for (const std::string_view line : {"GET / HTTP/1.2", "GET / HTTP/1.9"}) {
    const auto head = parse_line(line);
    EXPECT_EQ(head.status(), Status::ok);
    EXPECT_EQ(head.request.minor_version, 1);
    EXPECT_TRUE(head.request.keep_alive);
  }
}

TEST(HeadParser, does_not_speak_2_0) {
  expect_lines(Status::http_version_not_supported,
               {"GET / HTTP/2.0", "PRI * HTTP/2.0", "GET / HTTP/3.0", "GET / HTTP/9.9"});
}

TEST(HeadParser, takes_a_target_of_8000_bytes_but_not_one_of_20000) {
  EXPECT_EQ(parse_line("GET /" + std::string(7999, 'a') + " HTTP/1.1").status(), Status::ok);
  EXPECT_EQ(parse_line("GET /" + std::string(20'000, 'a') + " HTTP/1.1").status(),
            Status::uri_too_long);
  EXPECT_EQ(ParsedHead{"GET /" + std::string(20'000, 'a')}.status(), Status::uri_too_long);
}

TEST(HeadParser, refuses_fields_beyond_its_limits) {
  constexpr auto kRefusal = Status::request_header_fields_too_large;
  EXPECT_EQ(parse_fields("A: " + std::string(65'536, 'a')).status(), kRefusal);
  EXPECT_EQ(ParsedHead{"GET / HTTP/1.1\r\nA: " + std::string(65'536, 'a')}.status(), kRefusal);
  EXPECT_EQ(parse_fields("A: " + std::string(30'000, 'a')).status(), Status::ok);

  std::string many;
  for (int i = 0; i < 98; ++i) many += "A: b\r\n";
  EXPECT_EQ(parse_fields(many + "A: b").status(), Status::ok);
  EXPECT_EQ(parse_fields(many + "A: b\r\nA: b").status(), kRefusal);
}

TEST(HeadParser, does_not_count_the_body_as_fields) {
  EXPECT_EQ(ParsedHead{"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + std::string(100'000, 'a')}.status(),
            Status::ok);
}

TEST(HeadParser, has_the_limits_that_it_is_given) {
  Request request;
  HeadParser parser{{.request_line = 18, .fields = 11}};
  EXPECT_EQ(parser.parse("GET /12 HTTP/1.1\r\nHost: a\r\n\r\n", request).state, State::complete);
  EXPECT_EQ(parser.parse("GET /123 HTTP/1.1\r\nHost: a\r\n\r\n", request).status,
            Status::uri_too_long);
  EXPECT_EQ(HeadParser({.request_line = 18, .fields = 10})
                .parse("GET /12 HTTP/1.1\r\nHost: a\r\n\r\n", request)
                .status,
            Status::request_header_fields_too_large);
}

// --- host and targets ---

TEST(HeadParser, wants_one_host_in_1_1_and_none_in_1_0) {
  EXPECT_EQ(ParsedHead{"GET / HTTP/1.1\r\n\r\n"}.status(), Status::bad_request);
  EXPECT_EQ(ParsedHead{"GET http://a/ HTTP/1.1\r\n\r\n"}.status(), Status::bad_request);
  EXPECT_EQ(ParsedHead{"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"}.status(),
            Status::bad_request);
  EXPECT_EQ(ParsedHead{"GET / HTTP/1.0\r\n\r\n"}.status(), Status::ok);
  EXPECT_EQ(ParsedHead{"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"}.status(),
            Status::bad_request);
}

TEST(HeadParser, judges_the_syntax_of_host) {
  for (const std::string host : {"a", "A.example", "a:80", "a:", "127.0.0.1:8080", "[::1]",
                                 "[::1]:80", "a_b-c~d", "%41b", "xn--p1ai", "a..b", ""}) {
    EXPECT_EQ(ParsedHead{"GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"}.status(), Status::ok)
        << host;
  }
  for (const std::string host :
       {"###",     "u@h",      "a b",      "a/b",        "a,b:80,c", "a:8a",  ":80",  "[::1",
        "[::1]80", "[]",       "[::g]",    "[::1%25lo]", "a%",       "a%4",   "a%zz", "a:80:80",
        "a?b",     "http://a", "\xc3\xa4", "a\\b",       "<a>",      "[v1.a]"}) {
    EXPECT_EQ(ParsedHead{"GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"}.status(),
              Status::bad_request)
        << host;
  }
}

TEST(HeadParser, lets_a_connection_persist_as_its_version_has_it) {
  const auto keeps = [](std::string_view fields, std::string_view line) {
    const auto head = parse_fields(fields, line);
    EXPECT_EQ(head.status(), Status::ok) << fields;
    return head.request.keep_alive;
  };
  EXPECT_TRUE(keeps("A: b", "GET / HTTP/1.1"));
  EXPECT_FALSE(keeps("Connection: close", "GET / HTTP/1.1"));
  EXPECT_FALSE(keeps("Connection: a, CLOSE ,b", "GET / HTTP/1.1"));
  EXPECT_FALSE(keeps("Connection: keep-alive\r\nConnection: close", "GET / HTTP/1.1"));
  EXPECT_TRUE(keeps("Connection: closed", "GET / HTTP/1.1"));
  EXPECT_FALSE(keeps("A: b", "GET / HTTP/1.0"));
  EXPECT_TRUE(keeps("Connection: Keep-Alive", "GET / HTTP/1.0"));
  EXPECT_FALSE(keeps("Connection: keep-alive, close", "GET / HTTP/1.0"));
}

TEST(HeadParser, takes_an_absolute_target_and_lets_it_override_host) {
  const auto head = parse_line("GET HTTP://Other.EXAMPLE:81/p?q HTTP/1.1");
  ASSERT_EQ(head.status(), Status::ok);
  EXPECT_EQ(head.request.target_form, TargetForm::absolute);
  EXPECT_EQ(head.request.host, "Other.EXAMPLE:81");
  EXPECT_EQ(head.request.path, "/p");
  EXPECT_EQ(head.request.query, "q");
  EXPECT_EQ(parse_line("GET https://[::1] HTTP/1.1").request.path, "/");
  EXPECT_EQ(parse_line("GET http://h?x HTTP/1.1").request.path, "/");
  EXPECT_EQ(parse_line("GET http://h?x HTTP/1.1").request.query, "x");
  EXPECT_EQ(ParsedHead{"GET http://h/ HTTP/1.0\r\n\r\n"}.request.host, "h");
}

TEST(HeadParser, refuses_targets_of_no_known_form) {
  expect_lines(
      Status::bad_request,
      {"GET * HTTP/1.1", "GET ** HTTP/1.1", "OPTIONS ** HTTP/1.1", "GET a HTTP/1.1",
       "GET ?q HTTP/1.1", "GET a:80 HTTP/1.1", "GET ftp://a/ HTTP/1.1", "GET http:/a HTTP/1.1",
       "GET http:// HTTP/1.1", "GET http:///a HTTP/1.1", "GET http://u@h/ HTTP/1.1",
       "GET http://:80/ HTTP/1.1", "GET http://a:b/ HTTP/1.1", "GET http:a HTTP/1.1",
       "GET /a#b HTTP/1.1", "GET http://a/#b HTTP/1.1", "GET # HTTP/1.1"});
}

TEST(HeadParser, takes_options_of_the_server_and_of_a_file) {
  EXPECT_EQ(parse_line("OPTIONS * HTTP/1.1").status(), Status::ok);
  EXPECT_EQ(parse_line("OPTIONS * HTTP/1.1").request.target_form, TargetForm::asterisk);
  EXPECT_EQ(parse_line("OPTIONS /f HTTP/1.1").request.path, "/f");
}

TEST(HeadParser, does_not_implement_tunnels_traces_and_unknown_methods) {
  expect_lines(Status::not_implemented,
               {"CONNECT a:80 HTTP/1.1", "CONNECT / HTTP/1.1", "TRACE / HTTP/1.1", "get / HTTP/1.1",
                "Get / HTTP/1.1", "BREW / HTTP/1.1", "GETS / HTTP/1.1", "M-SEARCH * HTTP/1.1"});
}

TEST(HeadParser, knows_methods_that_some_resource_may_have) {
  EXPECT_EQ(parse_line("DELETE /f HTTP/1.1").request.method, Method::delete_);
  EXPECT_EQ(parse_line("POST /f HTTP/1.1").request.method, Method::post);
  EXPECT_EQ(parse_line("PUT /f HTTP/1.1").request.method, Method::put);
  EXPECT_EQ(parse_line("PATCH /f HTTP/1.1").request.method, Method::patch);
  EXPECT_EQ(parse_line("HEAD /f HTTP/1.1").request.method, Method::head);
}

// --- expectations ---

TEST(HeadParser, knows_one_expectation_and_not_in_1_0) {
  EXPECT_TRUE(parse_fields("Expect: 100-Continue").request.expect_continue);
  EXPECT_FALSE(parse_fields("Expect: 100-continue", "GET / HTTP/1.0").request.expect_continue);
  expect_fields(Status::expectation_failed, {"Expect: 200-ok", "Expect: 100-continue, x",
                                             "Expect:", "Expect: 100-continue\r\nExpect: x"});
}

}  // namespace
}  // namespace procpool::http
