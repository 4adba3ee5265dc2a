// A head, parsed in every way that it may arrive.
//
//   const ParsedHead head{"GET / HTTP/1.1\r\nHost: a\r\n\r\n"};
//   EXPECT_EQ(head.status(), Status::ok);
//   EXPECT_EQ(head.request.path, "/");
#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include "servers/http/head_parser.hpp"

namespace procpool::http {

// Parses `text` in one piece, and again growing byte by byte, in new memory each time; the test
// fails when the two are told apart.
struct ParsedHead {
  static constexpr std::size_t kLongestToGrow = 2000;

  explicit ParsedHead(std::string input) : text{std::move(input)} {
    result = HeadParser{}.parse(text, request);
    if (text.size() <= kLongestToGrow) expect_same_when_growing();
  }

  // ok when complete.
  Status status() const {
    EXPECT_NE(result.state, HeadParser::State::incomplete) << text;
    return result.status;
  }

  bool incomplete() const { return result.state == HeadParser::State::incomplete; }

  std::string text;
  Request request;
  HeadParser::Result result;

 private:
  void expect_same_when_growing() const {
    HeadParser parser;
    Request grown;
    HeadParser::Result last{.state = HeadParser::State::incomplete};
    std::string memory;
    for (std::size_t size = 0; size <= text.size(); ++size) {
      if (last.state != HeadParser::State::incomplete) break;
      memory = text.substr(0, size);
      memory.shrink_to_fit();
      last = parser.parse(memory, grown);
    }
    EXPECT_EQ(last.state, result.state) << text;
    EXPECT_EQ(last.status, result.status) << text;
    EXPECT_EQ(last.size, result.size) << text;
    if (last.state == HeadParser::State::incomplete) return;
    EXPECT_EQ(grown.line, request.line);
    EXPECT_EQ(grown.method, request.method);
    EXPECT_EQ(grown.path, request.path);
    EXPECT_EQ(grown.query, request.query);
    EXPECT_EQ(grown.host, request.host);
    EXPECT_EQ(grown.fields.size(), request.fields.size());
    EXPECT_EQ(grown.body_framing, request.body_framing);
    EXPECT_EQ(grown.content_length, request.content_length);
    EXPECT_EQ(grown.keep_alive, request.keep_alive);
  }
};

inline void PrintTo(Status status, std::ostream* out) {
  *out << static_cast<int>(status) << ' ' << reason_phrase(status);
}

// A request line with what HTTP/1.1 asks for behind it.
inline ParsedHead parse_line(std::string_view line) {
  return ParsedHead{std::string{line} + "\r\nHost: a\r\n\r\n"};
}

// Field lines, each without its CRLF, behind a sound request line and Host.
inline ParsedHead parse_fields(std::string_view fields, std::string_view line = "GET / HTTP/1.1") {
  return ParsedHead{std::string{line} + "\r\nHost: a\r\n" + std::string{fields} + "\r\n\r\n"};
}

}  // namespace procpool::http
