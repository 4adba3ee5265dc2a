// What RFC 9110 and 9112 leave no choice about, on the wire: each request is followed by a good
// one, and the number of answers tells whether the server and the client agree where a request
// ends.
#include <array>
#include <fstream>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/http_client.hpp"
#include "tests/support/http_server.hpp"

namespace procpool::test {
namespace {

using namespace std::string_literals;

// `answers` are those to the request alone. One that ends the connection is the last; behind any
// other the good request is answered too.
struct Case {
  std::string name;
  std::string request;
  std::vector<int> answers;
  enum class Then { close, go_on } then;
};

void PrintTo(const Case& the_case, std::ostream* out) {
  *out << testing::PrintToString(the_case.request.substr(0, 200));
}

Case closes(std::string name, std::string request, int status) {
  return {std::move(name), std::move(request), {status}, Case::Then::close};
}

Case goes_on(std::string name, std::string request, int status = 200) {
  return {std::move(name), std::move(request), {status}, Case::Then::go_on};
}

// A request for a file, with further lines behind its Host, and what stands behind the head.
std::string get(std::string_view fields, std::string_view rest = {}) {
  return get_request("/file", fields).append(rest);
}

std::string chunked(std::string_view body) {
  return get("Transfer-Encoding: chunked\r\n", body);
}

std::string line(std::string_view request_line) {
  return std::string{request_line}.append("\r\nHost: a\r\n\r\n");
}

std::string host(std::string_view value) {
  return std::string{"GET /file HTTP/1.1\r\nHost: "}.append(value).append("\r\n\r\n");
}

std::string target(std::string_view text) {
  return line("GET " + std::string{text} + " HTTP/1.1");
}

std::vector<Case> framing() {
  return {
      closes("a_length_beside_chunks",
             get("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400),
      closes("chunks_beside_a_length",
             get("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), 400),
      closes("two_lengths", get("Content-Length: 5\r\nContent-Length: 6\r\n", "12345"), 400),
      closes("the_same_length_twice", get("Content-Length: 5\r\nContent-Length: 5\r\n", "12345"),
             400),
      closes("a_list_of_lengths", get("Content-Length: 5, 5\r\n", "12345"), 400),
      closes("a_length_with_a_plus", get("Content-Length: +5\r\n", "12345"), 400),
      closes("a_negative_length", get("Content-Length: -1\r\n"), 400),
      closes("a_hexadecimal_length", get("Content-Length: 0x5\r\n", "12345"), 400),
      closes("an_empty_length", get("Content-Length:\r\n"), 400),
      closes("a_length_that_wraps_to_5", get("Content-Length: 18446744073709551621\r\n", "12345"),
             400),
      closes("the_largest_length", get("Content-Length: 18446744073709551615\r\n"), 413),
      closes("chunks_in_1_0",
             "GET /file HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: "
             "chunked\r\n\r\n0\r\n\r\n",
             400),
      closes("an_unknown_coding", get("Transfer-Encoding: rot13\r\n"), 501),
      closes("a_coding_before_chunked", get("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
             501),
      closes("a_coding_behind_chunked", get("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"),
             400),
      closes("chunked_twice", get("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), 400),
      closes("chunked_behind_a_vertical_tab",
             get("Transfer-Encoding: \x0b"
                 "chunked\r\n",
                 "0\r\n\r\n"),
             400),
      goes_on("chunks", chunked("5\r\n12345\r\n0\r\n\r\n")),
      closes("a_chunk_size_with_0x", chunked("0x5\r\n12345\r\n0\r\n\r\n"), 400),
      closes("a_chunk_size_beyond_64_bits", chunked("10000000000000005\r\n12345\r\n0\r\n\r\n"),
             400),
      closes("an_empty_chunk_size", chunked("\r\n12345\r\n0\r\n\r\n"), 400),
      closes("chunk_data_without_its_end", chunked("5\r\n123450\r\n\r\n"), 400),
      closes("chunk_data_longer_than_its_size", chunked("5\r\n123456\r\n0\r\n\r\n"), 400),
      closes("a_bare_lf_behind_a_chunk_size", chunked("5\n12345\r\n0\r\n\r\n"), 400),
      closes("a_bare_lf_behind_an_extension", chunked("5;a=b\n12345\r\n0\r\n\r\n"), 400),
      closes("a_bare_lf_behind_chunk_data", chunked("5\r\n12345\n0\r\n\r\n"), 400),
      goes_on("an_unknown_extension", chunked("5;a=b;c=\"d\"\r\n12345\r\n0;e\r\n\r\n")),
      closes("an_extension_of_64_KiB",
             chunked("5;" + std::string(65536, 'e') + "\r\n12345\r\n0\r\n\r\n"), 400),
      goes_on("trailers_that_look_like_framing",
              chunked("0\r\nContent-Length: 50\r\nTransfer-Encoding: gzip\r\nHost: b\r\n"
                      "Connection: close\r\n\r\n")),
      closes("trailers_without_end", chunked("0\r\n" + std::string(65536, 'T')), 431),
      goes_on("a_body_that_looks_like_a_request",
              get("Content-Length: 38\r\n", "GET /file HTTP/1.1\r\nHost: smuggled\r\n\r\n")),
      goes_on("an_empty_body", get("Content-Length: 0\r\n")),
      closes("more_behind_connection_close", get("Connection: close\r\n"), 200),
      closes("a_body_behind_connection_close",
             get("Connection: close\r\nContent-Length: 5\r\n", "12345"), 200),
  };
}

std::vector<Case> syntax() {
  return {
      closes("a_folded_field", get("X: 1\r\n 2\r\n"), 400),
      closes("a_field_folded_by_a_tab", get("X: 1\r\n\t2\r\n"), 400),
      closes("a_space_before_the_colon", get("X : 1\r\n"), 400),
      closes("a_space_before_the_first_field", "GET /file HTTP/1.1\r\n Host: a\r\n\r\n", 400),
      closes("a_bare_cr_in_a_value", get("X: 1\r2\r\n"), 400),
      closes("a_NUL_in_a_value", get("X: 1\0002\r\n"s), 400),
      closes("bare_lf_lines", "GET /file HTTP/1.1\nHost: a\n\n", 400),
      closes("one_bare_lf", get("X: 1\n"), 400),
      closes("brackets_in_a_name", get("X[]: 1\r\n"), 400),
      closes("a_field_without_colon", get("nothing\r\n"), 400),
      closes("an_empty_name", get(": 1\r\n"), 400),
      goes_on("empty_lines_before_it", "\r\n\r\n" + get("")),
      closes("a_space_in_the_target", target("/file a"), 400),
      closes("a_tab_in_the_target", target("/file\ta"), 400),
      closes("a_tab_behind_the_method", line("GET\t/file HTTP/1.1"), 400),
      closes("two_spaces_in_the_request_line", line("GET  /file HTTP/1.1"), 400),
      closes("a_space_behind_the_version", line("GET /file HTTP/1.1 "), 400),
      closes("a_version_in_lower_case", line("GET /file http/1.1"), 400),
      closes("a_version_with_two_digits", line("GET /file HTTP/01.1"), 400),
      closes("a_version_without_minor", line("GET /file HTTP/1"), 400),
      goes_on("version_1_2", line("GET /file HTTP/1.2")),
      closes("version_2_0", line("GET /file HTTP/2.0"), 505),
      closes("version_0_9", "GET /file\r\n", 400),
      goes_on("a_target_of_8000_bytes", target("/file?" + std::string(7994, 'q'))),
      closes("a_target_of_20_KB", target("/file?" + std::string(20'000, 'q')), 414),
      closes("fields_of_64_KB", get("X: " + std::string(65'536, 'x') + "\r\n"), 431),
      closes(
          "a_thousand_fields",
          [] {
            std::string fields;
            for (int i = 0; i < 1000; ++i) fields += "X: 1\r\n";
            return get(fields);
          }(),
          431),
      closes("the_hello_of_TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"s, 400),
  };
}

std::vector<Case> hosts_and_targets() {
  return {
      closes("no_host_in_1_1", "GET /file HTTP/1.1\r\n\r\n", 400),
      closes("two_hosts", get("Host: b\r\n"), 400),
      closes("the_same_host_twice", get("Host: a\r\n"), 400),
      closes("a_host_of_hashes", host("###"), 400),
      closes("a_host_with_a_user", host("u@h"), 400),
      closes("a_host_with_a_bad_port", host("h:http"), 400),
      goes_on("a_host_with_port", host("example.org:8080")),
      goes_on("a_host_in_brackets", host("[::1]:8080")),
      closes("1_0_without_host", "GET /file HTTP/1.0\r\n\r\n", 200),
      goes_on("1_0_with_keep_alive", "GET /file HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"),
      goes_on("the_absolute_form", line("GET http://example.org/file HTTP/1.1")),
      goes_on("the_absolute_form_in_upper_case", line("GET HTTP://EXAMPLE.ORG/file HTTP/1.1")),
      closes("the_absolute_form_without_host", "GET http://example.org/file HTTP/1.1\r\n\r\n", 400),
      closes("the_absolute_form_with_a_user", line("GET http://u@example.org/file HTTP/1.1"), 400),
      closes("an_unknown_scheme", line("GET gopher://example.org/file HTTP/1.1"), 400),
      closes("a_relative_target", target("file"), 400),
      closes("GET_of_an_asterisk", target("*"), 400),
      goes_on("OPTIONS_of_an_asterisk", line("OPTIONS * HTTP/1.1"), 204),
      goes_on("OPTIONS_of_a_file", line("OPTIONS /file HTTP/1.1"), 204),
      closes("CONNECT", line("CONNECT example.org:80 HTTP/1.1"), 501),
      closes("TRACE", line("TRACE /file HTTP/1.1"), 501),
      closes("an_unknown_method", line("BREW /file HTTP/1.1"), 501),
      closes("a_method_in_lower_case", line("get /file HTTP/1.1"), 501),
      goes_on("DELETE_of_a_file", line("DELETE /file HTTP/1.1"), 405),
      goes_on("PUT_of_a_file", "PUT /file HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345",
              405),
      goes_on("POST_to_a_file", "POST /file HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345",
              405),
      closes("a_fragment_in_the_target", target("/file#part"), 400),
      goes_on("a_broken_escape", target("/%zz"), 400),
      goes_on("a_cut_escape", target("/file%4"), 400),
      goes_on("an_escaped_NUL", target("/file%00"), 400),
      goes_on("escaped_dots", target("/%2e%2e/secret"), 404),
      goes_on("dots", target("/../secret"), 404),
      goes_on("many_dots", target("/file/../../../../../../secret"), 404),
      goes_on("dots_with_an_escaped_slash", target("/..%2fsecret"), 404),
      goes_on("dots_with_an_escaped_backslash", target("/..%5csecret"), 404),
      goes_on("an_overlong_slash", target("/..%c0%afsecret"), 404),
      goes_on("dots_escaped_twice", target("/%252e%252e/secret"), 404),
      goes_on("dots_inside_the_root", target("/a/./b/../../%66ile")),
  };
}

class Wire : public testing::TestWithParam<Case> {
 protected:
  Wire() {
    std::ofstream{server_.root() / "file"} << "file\n";
    std::ofstream{server_.root() / "good"} << "good\n";
    std::ofstream{server_.folder() / "secret"} << "secret\n";
  }

  // A client that goes on sending after it asked for the end may meet a closed door.
  static bool asks_to_close() {
    return GetParam().request.find("Connection: close\r\n") != std::string::npos;
  }

  void expect_answers(const Received& received) const {
    const Case& expected = GetParam();
    std::vector<int> statuses = expected.answers;
    if (expected.then == Case::Then::go_on) statuses.push_back(200);
    ASSERT_EQ(received.statuses(), statuses);
    EXPECT_TRUE(received.end == End::closed || asks_to_close()) << received.end;
    for (const Answer& answer : received.answers) expect_sane(answer);
    const Answer& last = received.answers.back();
    EXPECT_TRUE(last.says_close());
    if (expected.then == Case::Then::go_on) {
      EXPECT_EQ(last.body, "good\n");
      EXPECT_FALSE(received.answers.front().says_close());
    }
  }

  HttpServer server_{{.arguments = {"--workers", "1"}}};

 private:
  static void expect_sane(const Answer& answer) {
    EXPECT_TRUE(answer.field("date"));
    EXPECT_EQ(answer.status == 405 || answer.status == 204, answer.field("allow").has_value());
    EXPECT_EQ(answer.body.find("secret"), std::string::npos);
    if (answer.status == 200) {
      EXPECT_TRUE(answer.body == "file\n" || answer.body == "good\n") << answer.body;
    }
  }
};

TEST_P(Wire, answers_as_often_as_it_was_asked) {
  const std::string bytes = GetParam().request + get_request("/good", "Connection: close\r\n");
  HttpClient at_once{server_.port()};
  at_once.send(bytes);
  expect_answers(at_once.receive_rest());

  HttpClient bytewise{server_.port()};
  bytewise.send_bytewise(bytes);
  expect_answers(bytewise.receive_rest());
}

std::string name_of(const testing::TestParamInfo<Case>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Framing, Wire, testing::ValuesIn(framing()), name_of);
INSTANTIATE_TEST_SUITE_P(Syntax, Wire, testing::ValuesIn(syntax()), name_of);
INSTANTIATE_TEST_SUITE_P(HostsAndTargets, Wire, testing::ValuesIn(hosts_and_targets()), name_of);

}  // namespace
}  // namespace procpool::test
