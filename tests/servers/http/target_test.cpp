#include "servers/http/target.hpp"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace procpool::http {
namespace {

std::string resolved(std::string_view path) {
  std::string relative;
  EXPECT_EQ(resolve_target(path, relative).status, Status::ok) << path;
  return relative;
}

Status refusal(std::string_view path) {
  std::string relative;
  return resolve_target(path, relative).status;
}

bool ends_with_slash(std::string_view path) {
  std::string relative;
  return resolve_target(path, relative).ends_with_slash;
}

TEST(Target, names_a_file_beneath_the_root) {
  EXPECT_EQ(resolved("/index.html"), "index.html");
  EXPECT_EQ(resolved("/a/b/c"), "a/b/c");
  EXPECT_EQ(resolved("/a/b/"), "a/b");
  EXPECT_EQ(resolved("/"), ".");
}

TEST(Target, is_decoded_once) {
  EXPECT_EQ(resolved("/%61%20b"), "a b");
  EXPECT_EQ(resolved("/%2561"), "%61");
  EXPECT_EQ(resolved("/%C3%a4\xc3\xa4"), "\xc3\xa4\xc3\xa4");
  EXPECT_EQ(resolved("/a+b%3fc"), "a+b?c");
}

TEST(Target, has_its_dot_segments_removed_as_in_rfc_3986) {
  EXPECT_EQ(resolved("/a/b/c/./../../g"), "a/g");
  EXPECT_EQ(resolved("/./a"), "a");
  EXPECT_EQ(resolved("/a/."), "a");
  EXPECT_EQ(resolved("/a/.."), ".");
  EXPECT_EQ(resolved("/a/../.."), ".");
  EXPECT_EQ(resolved("/.hidden/..a/b../..."), ".hidden/..a/b../...");
}

TEST(Target, cannot_leave_the_root) {
  EXPECT_EQ(resolved("/../etc/passwd"), "etc/passwd");
  EXPECT_EQ(resolved("/../../../../etc/passwd"), "etc/passwd");
  EXPECT_EQ(resolved("/%2e%2e/etc/passwd"), "etc/passwd");
  EXPECT_EQ(resolved("/a/%2E./.%2e/%2e%2E/b"), "b");
  EXPECT_EQ(resolved("/..%c0%af..%c0%afetc"),
            "..\xc0\xaf..\xc0\xaf"
            "etc");
  EXPECT_EQ(resolved("/..\\..\\etc"), "..\\..\\etc");
  EXPECT_EQ(refusal("/..%2f..%2fetc/passwd"), Status::not_found);
  EXPECT_EQ(refusal("/%2fetc/passwd"), Status::not_found);
}

TEST(Target, loses_empty_segments) {
  EXPECT_EQ(resolved("//etc//passwd"), "etc/passwd");
  EXPECT_EQ(resolved("/a//../b"), "b");
  EXPECT_EQ(resolved("///"), ".");
}

TEST(Target, tells_whether_a_directory_was_asked_for) {
  for (const std::string_view path : {"/", "/a/", "/a/.", "/a/..", "/a/%2e", "//"}) {
    EXPECT_TRUE(ends_with_slash(path)) << path;
  }
  for (const std::string_view path : {"/a", "/a/../b", "/.a", "/..."}) {
    EXPECT_FALSE(ends_with_slash(path)) << path;
  }
}

TEST(Target, is_bad_with_an_escape_that_is_none_or_a_nul) {
  for (const std::string_view path :
       {"/%zz", "/%", "/%4", "/a%/b", "/%00", "/a%00.html", "/%4g", "/%%41"}) {
    EXPECT_EQ(refusal(path), Status::bad_request) << path;
  }
}

TEST(Target, is_appended) {
  std::string out = "/srv/www/";
  resolve_target("/../../a/../b", out);
  EXPECT_EQ(out, "/srv/www/b");
}

TEST(Target, can_be_encoded_again) {
  std::string out;
  append_percent_encoded("a b/\xc3\xa4?<\"%~.html", out);
  EXPECT_EQ(out, "a%20b/%C3%A4%3F%3C%22%25~.html");
  EXPECT_EQ(resolved("/" + out), "a b/\xc3\xa4?<\"%~.html");
}

}  // namespace
}  // namespace procpool::http
