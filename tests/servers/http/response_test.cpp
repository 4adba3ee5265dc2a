// What handlers answer, events, forms and bodies: the parts of a server of one's own.
#include "servers/http/response.hpp"

#include <unistd.h>

#include <string>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "servers/http/event_stream.hpp"
#include "servers/http/form.hpp"
#include "servers/http/spooled_body.hpp"

namespace procpool::http {
namespace {

using namespace std::chrono_literals;

std::string text_of(const Event& event) {
  std::string text;
  append_event(event, text);
  return text;
}

TEST(Response, refuses_fields_that_would_change_how_it_is_sent) {
  const auto with = [](std::string_view name, std::string_view value) {
    return text("x").with(name, value).page()->head;
  };
  EXPECT_NE(with("X-A", "b \t c").find("\r\nX-A: b \t c\r\n"), std::string::npos);
  EXPECT_NE(with("X-Empty", "").find("\r\nX-Empty: \r\n"), std::string::npos);
  for (const char* name : {"", "X A", "X:", "X\r\n", "Content-Length", "content-length",
                           "Transfer-Encoding", "Connection", "Date"})
    EXPECT_THROW(with(name, "1"), Error) << name;
  for (const std::string_view value :
       {std::string_view{"a\r\nSet-Cookie: b"}, std::string_view{"a\nb"}, std::string_view{"a\rb"},
        std::string_view{"a\0b", 3}, std::string_view{"\x7f"}})
    EXPECT_THROW(with("X-A", value), Error) << value;
  EXPECT_THROW(redirect("/a\r\nX: y"), Error);
  EXPECT_THROW(stream("text/plain\r\nX: y", []() -> net::Generator<std::string> { co_return; }()),
               Error);
}

TEST(Response, has_no_body_where_none_may_be) {
  const PagePtr page = no_content().page();
  EXPECT_EQ(page->status, Status::no_content);
  EXPECT_EQ(page->head.find("Content-"), std::string::npos);
}

TEST(Event, is_fields_and_an_empty_line) {
  EXPECT_EQ(text_of(Event{"a"}), "data: a\n\n");
  EXPECT_EQ(text_of(Event{"a\nb\r\nc\rd\n"}), "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n");
  EXPECT_EQ(text_of(Event{"a", "7", "t", 1500ms}), "event: t\nid: 7\nretry: 1500\ndata: a\n\n");
  EXPECT_EQ(text_of(Event{"", "7"}), "id: 7\n\n");
}

TEST(Event, refuses_words_that_would_be_other_fields) {
  for (const char* bad : {"a\nb", "a\rb"}) {
    EXPECT_THROW(text_of(Event{"x", "", bad}), Error);
    EXPECT_THROW(text_of(Event{"x", bad}), Error);
  }
  EXPECT_THROW(text_of(Event{"x", std::string(1, '\0')}), Error);
}

TEST(Form, is_names_and_values) {
  const FormFields fields = parse_form("a=1&a=2&b+c=%C3%A9+%26&&d&=e&f=g=h");
  EXPECT_EQ(
      fields,
      (FormFields{
          {"a", "1"}, {"a", "2"}, {"b c", "\xc3\xa9 &"}, {"d", ""}, {"", "e"}, {"f", "g=h"}}));
  EXPECT_EQ(find_field(fields, "a"), "1");
  EXPECT_EQ(find_field(fields, "d"), "");
  EXPECT_FALSE(find_field(fields, "x"));
}

TEST(Form, takes_what_is_no_escape_as_it_is) {
  EXPECT_EQ(parse_form("a=100%&b=%zz&c=%4"),
            (FormFields{{"a", "100%"}, {"b", "%zz"}, {"c", "%4"}}));
  EXPECT_TRUE(parse_form("").empty());
  EXPECT_TRUE(parse_form("&&").empty());
}

TEST(SpooledBody, is_the_same_in_memory_and_in_a_file) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, SpooledBody::kMostInMemory,
                                 SpooledBody::kMostInMemory + 1, std::size_t{300'000}}) {
    std::string all;
    SpooledBody body;
    for (std::size_t i = 0; all.size() < size; ++i) {
      const std::string piece(std::min(size - all.size(), i % 7000 + 1),
                              static_cast<char>('a' + i % 26));
      body.write(piece);
      all += piece;
    }
    EXPECT_EQ(body.size(), size);
    EXPECT_TRUE(body.text() == all) << size;
    const UniqueFd file = std::move(body).file();
    EXPECT_TRUE(read_to_end(file.fd(), "body") == all) << size;
  }
}

}  // namespace
}  // namespace procpool::http
