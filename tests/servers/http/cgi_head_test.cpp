// What a CGI program writes before its body.
#include "servers/http/cgi_head.hpp"

#include <string>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"

namespace procpool::http {
namespace {

TEST(CgiHead, ends_with_an_empty_line_of_either_kind) {
  EXPECT_EQ(cgi_head_size("A: b\n\nbody"), 6u);
  EXPECT_EQ(cgi_head_size("A: b\r\n\r\nbody"), 8u);
  EXPECT_EQ(cgi_head_size("A: b\r\n\nbody"), 7u);
  EXPECT_EQ(cgi_head_size("\n"), 1u);
  for (const char* text : {"", "A", "A: b\n", "A: b\n\r", "A: b\nC: d\n"})
    EXPECT_FALSE(cgi_head_size(text)) << text;
}

TEST(CgiHead, is_of_a_document) {
  const CgiHead head = parse_cgi_head("Content-Type: text/plain\nX-A:  b \nX-A: c\n\n");
  EXPECT_EQ(head.status, Status::ok);
  EXPECT_EQ(head.fields, "Content-Type: text/plain\r\nX-A: b\r\nX-A: c\r\n");
  EXPECT_FALSE(head.content_length);
  EXPECT_EQ(parse_cgi_head("status: 404 Nothing here\r\n\r\n").status, Status::not_found);
  EXPECT_EQ(parse_cgi_head("Status: 299\n\n").status, static_cast<Status>(299));
  EXPECT_EQ(parse_cgi_head("Status: 200\nContent-Length: 12\n\n").content_length, 12u);
}

TEST(CgiHead, redirects) {
  const CgiHead away = parse_cgi_head("Location: https://example.org/\n\n");
  EXPECT_EQ(away.status, Status::found);
  EXPECT_EQ(away.fields, "Location: https://example.org/\r\n");
  EXPECT_TRUE(away.elsewhere.empty());
  const CgiHead inside = parse_cgi_head("Location: /a?b\n\n");
  EXPECT_EQ(inside.elsewhere, "/a?b");
  const CgiHead told = parse_cgi_head("Status: 303 See Other\nLocation: /a\n\n");
  EXPECT_EQ(told.status, Status::see_other);
  EXPECT_EQ(told.fields, "Location: /a\r\n");
  EXPECT_TRUE(told.elsewhere.empty());
}

TEST(CgiHead, says_nothing_of_how_it_is_sent) {
  EXPECT_EQ(parse_cgi_head("Content-Type: a/b\nConnection: close\nTransfer-Encoding: chunked\n"
                           "Date: now\nServer: x\n\n")
                .fields,
            "Content-Type: a/b\r\n");
}

TEST(CgiHead, is_refused_when_it_is_none) {
  for (const char* text : {"\n",
                           "X-A: b\n\n",
                           "hello\n\n",
                           ": b\n\n",
                           "A B: c\n\n",
                           "Content-Type: a/b\n folded\n\n",
                           "HTTP/1.1 200 OK\nContent-Type: a/b\n\n",
                           "Content-Type: a/b\nContent-Type: a/b\n\n",
                           "Content-Type: a/b\rX: y\n\n",
                           "Status: 100\n\n",
                           "Status: 600\n\n",
                           "Status: +200\n\n",
                           "Status: OK\n\n",
                           "Status: 2000\n\n",
                           "Status:\n\n",
                           "Location:\n\n",
                           "Status: 200\nContent-Length: -1\n\n",
                           "Status: 200\nContent-Length: 5 5\n\n",
                           "Status: 200\nContent-Length: 1\nContent-Length: 1\n\n",
                           "Status: 200\nStatus: 200\n\n"}) {
    EXPECT_THROW(parse_cgi_head(text), Error) << text;
  }
  EXPECT_THROW(parse_cgi_head(std::string{"Content-Type: a\0b\n\n", 19}), Error);
}

}  // namespace
}  // namespace procpool::http
