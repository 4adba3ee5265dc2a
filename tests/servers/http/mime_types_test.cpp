#include "servers/http/mime_types.hpp"

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::http {
namespace {

TEST(MimeTypes, know_by_themselves_what_a_site_needs) {
  const auto types = MimeTypes::built_in();
  EXPECT_EQ(types.of("index.html"), "text/html; charset=utf-8");
  EXPECT_EQ(types.of("a/b.css"), "text/css; charset=utf-8");
  EXPECT_EQ(types.of("app.js"), "text/javascript; charset=utf-8");
  EXPECT_EQ(types.of("logo.svg"), "image/svg+xml");
  EXPECT_EQ(types.of("data.json"), "application/json");
}

TEST(MimeTypes, go_by_the_last_extension_in_any_case) {
  const auto types = MimeTypes::built_in();
  EXPECT_EQ(types.of("A.PNG"), "image/png");
  EXPECT_EQ(types.of("a.tar.gz"), "application/gzip");
  EXPECT_EQ(types.of(".html"), "text/html; charset=utf-8");
}

TEST(MimeTypes, are_bytes_when_nothing_is_known) {
  const auto types = MimeTypes::built_in();
  const std::string long_name = "a." + std::string(500, 'x');
  for (const std::string_view path :
       {"README", "a.unheard", "a.", "", ".", "dir.html/file", long_name.c_str()}) {
    EXPECT_EQ(types.of(path), "application/octet-stream") << path;
  }
}

TEST(MimeTypes, are_read_over_the_built_in_ones) {
  const test::TempDir dir;
  const std::string path = dir.path() / "mime.types";
  std::ofstream{path}
      << "# comment\n\ntext/x-strange\t\thtml  XYZ # more\r\napplication/none\nimage/x-end end";
  const auto types = MimeTypes::load(path);
  EXPECT_EQ(types.of("a.html"), "text/x-strange; charset=utf-8");
  EXPECT_EQ(types.of("a.xyz"), "text/x-strange; charset=utf-8");
  EXPECT_EQ(types.of("a.end"), "image/x-end");
  EXPECT_EQ(types.of("a.css"), "text/css; charset=utf-8");
}

TEST(MimeTypes, do_without_the_file_but_not_with_one_that_cannot_be_read) {
  const test::TempDir dir;
  EXPECT_EQ(MimeTypes::load(dir.path() / "absent").of("a.png"), "image/png");
  EXPECT_THROW(MimeTypes::load(dir.path()), Error);
}

TEST(MimeTypesFile, is_read_again_when_it_has_changed) {
  const test::TempDir folder;
  const std::string path = folder.path() / "mime.types";
  MimeTypesFile file{path};
  EXPECT_EQ(file.current().of("a.x"), "application/octet-stream");
  std::ofstream{path} << "application/first x\n";
  const MimeTypes first = file.current();
  EXPECT_EQ(first.of("a.x"), "application/first");
  std::ofstream{path + ".new"} << "application/other x\n";  // as long
  std::filesystem::rename(path + ".new", path);
  EXPECT_EQ(file.current().of("a.x"), "application/other");
  EXPECT_EQ(first.of("a.x"), "application/first");
  std::filesystem::remove(path);
  EXPECT_EQ(file.current().of("a.x"), "application/octet-stream");
}

}  // namespace
}  // namespace procpool::http
