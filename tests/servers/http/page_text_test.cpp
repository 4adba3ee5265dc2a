#include <sys/stat.h>

#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "servers/http/error_page.hpp"
#include "servers/http/etag.hpp"
#include "servers/http/html.hpp"
#include "servers/http/status.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::http {
namespace {

std::string etag(const struct stat& file) {
  std::string tag;
  append_etag(file, tag);
  return tag;
}

TEST(Etag, is_strong_and_quoted) {
  struct stat file{};
  file.st_ino = 0x1f5a;
  file.st_size = 1024;
  file.st_mtim = {.tv_sec = 1, .tv_nsec = 1};
  EXPECT_EQ(etag(file), "\"1f5a-400-3b9aca01\"");
}

TEST(Etag, changes_with_size_time_and_inode) {
  struct stat file{};
  const std::string before = etag(file);
  struct stat larger = file, later = file, other = file;
  larger.st_size = 1;
  later.st_mtim.tv_nsec = 1;
  other.st_ino = 1;
  for (const struct stat& changed : {larger, later, other}) EXPECT_NE(etag(changed), before);
}

TEST(Html, escapes_what_is_not_text) {
  std::string out = "<p>";
  append_escaped_html("<a href='x'>\"Q&A\"</a>", out);
  EXPECT_EQ(out, "<p>&lt;a href=&#39;x&#39;&gt;&quot;Q&amp;A&quot;&lt;/a&gt;");
}

TEST(ErrorPage, shows_the_status_and_the_detail_as_text) {
  std::string out;
  append_error_page(Status::not_found, out, "<script>");
  EXPECT_NE(out.find("<h1>404 Not Found</h1>"), out.npos);
  EXPECT_NE(out.find("&lt;script&gt;"), out.npos);
  EXPECT_EQ(out.find("<script>"), out.npos);
}

TEST(Status, has_the_phrase_of_its_code) {
  EXPECT_EQ(reason_phrase(Status::ok), "OK");
  EXPECT_EQ(reason_phrase(Status::request_header_fields_too_large),
            "Request Header Fields Too Large");
  EXPECT_EQ(reason_phrase(static_cast<Status>(299)), "Unknown");
}

}  // namespace
}  // namespace procpool::http
