// Files in several codings, as clients get them.
#include <sys/stat.h>
#include <zlib.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/http_server.hpp"

namespace procpool::test {
namespace {

using namespace std::chrono_literals;

std::string text_of(std::size_t size) {
  std::string text;
  for (int i = 0; text.size() < size; ++i) text += "line " + std::to_string(i) + "\n";
  text.resize(size);
  return text;
}

std::string gunzip(std::string packed) {
  z_stream stream{};
  EXPECT_EQ(::inflateInit2(&stream, MAX_WBITS + 16), Z_OK);
  std::string text(std::size_t{4} << 20, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  EXPECT_EQ(::inflate(&stream, Z_FINISH), Z_STREAM_END);
  EXPECT_EQ(stream.avail_in, 0u);
  text.resize(stream.total_out);
  ::inflateEnd(&stream);
  return text;
}

class Encodings : public testing::Test {
 protected:
  void start(std::vector<std::string> arguments = {}) {
    arguments.insert(arguments.end(), {"--workers", "1"});
    server_ = std::make_unique<HttpServer>(HttpServerSetup{.arguments = std::move(arguments)});
    client_ = std::make_unique<HttpClient>(server_->port());
  }
  std::filesystem::path path(std::string_view name) const { return server_->root() / name; }
  void write(std::string_view name, std::string_view text) const {
    std::ofstream{path(name), std::ios::binary} << text;
  }
  Answer get(std::string_view target, std::string_view fields) const {
    client_->send(get_request(target, fields));
    return client_->receive();
  }

  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<HttpClient> client_;
};

constexpr std::string_view kTakesGzip = "Accept-Encoding: gzip\r\n";
constexpr std::string_view kTakesAll = "Accept-Encoding: gzip, deflate, br\r\n";

TEST_F(Encodings, of_text_are_made_for_who_takes_them) {
  start();
  for (const std::size_t size : {256u, 10'000u, 100'000u, 1'048'576u}) {
    const std::string text = text_of(size);
    write("a.txt", text);
    ASSERT_TRUE(eventually([&] { return get("/a.txt", "").body == text; }));
    const Answer plain = get("/a.txt", "");
    EXPECT_EQ(plain.field("content-encoding"), std::nullopt);
    EXPECT_EQ(plain.field("vary"), "Accept-Encoding");
    for (int round = 0; round < 2; ++round) {
      const Answer packed = get("/a.txt", kTakesAll);
      EXPECT_EQ(packed.status, 200);
      EXPECT_EQ(packed.field("content-encoding"), "gzip");
      EXPECT_EQ(packed.field("vary"), "Accept-Encoding");
      EXPECT_EQ(packed.field("content-type"), plain.field("content-type"));
      EXPECT_EQ(packed.field("last-modified"), plain.field("last-modified"));
      EXPECT_NE(packed.field("etag"), plain.field("etag"));
      EXPECT_LT(packed.body.size(), text.size());
      EXPECT_TRUE(gunzip(packed.body) == text);
    }
  }
}

TEST_F(Encodings, are_not_made_of_what_is_small_huge_or_no_text) {
  start();
  write("small.txt", text_of(255));
  write("huge.txt", text_of(1'048'577));
  write("a.png", text_of(10'000));
  for (const char* target : {"/small.txt", "/huge.txt", "/a.png"}) {
    const Answer answer = get(target, kTakesAll);
    EXPECT_EQ(answer.field("content-encoding"), std::nullopt) << target;
    EXPECT_EQ(answer.field("vary"), std::nullopt) << target;
  }
}

TEST_F(Encodings, can_be_switched_off) {
  start({"--gzip", "off"});
  write("a.txt", text_of(10'000));
  const Answer answer = get("/a.txt", kTakesAll);
  EXPECT_EQ(answer.field("content-encoding"), std::nullopt);
  EXPECT_EQ(answer.field("vary"), std::nullopt);
}

TEST_F(Encodings, change_with_their_file) {
  start();
  for (const std::size_t size : {10'000u, 100'000u}) {
    write("a.txt", text_of(size));
    EXPECT_TRUE(
        eventually([&] { return gunzip(get("/a.txt", kTakesGzip).body) == text_of(size); }));
  }
}

TEST_F(Encodings, have_conditions_and_ranges_of_their_own) {
  start();
  write("a.txt", text_of(10'000));
  const Answer plain = get("/a.txt", "");
  const Answer packed = get("/a.txt", kTakesGzip);
  const std::string tag = *packed.field("etag");
  const std::string none_match = "If-None-Match: " + tag + "\r\n";

  const Answer same = get("/a.txt", std::string{kTakesGzip} + none_match);
  EXPECT_EQ(same.status, 304);
  EXPECT_EQ(same.field("etag"), tag);
  EXPECT_EQ(same.field("vary"), "Accept-Encoding");
  EXPECT_EQ(get("/a.txt", none_match).status, 200);

  const std::string range = "Range: bytes=5-24\r\n";
  const Answer part = get("/a.txt", std::string{kTakesGzip} + range + "If-Range: " + tag + "\r\n");
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.field("content-encoding"), "gzip");
  EXPECT_EQ(part.field("content-range"), "bytes 5-24/" + std::to_string(packed.body.size()));
  EXPECT_EQ(part.body, packed.body.substr(5, 20));
  EXPECT_EQ(get("/a.txt", range).body, plain.body.substr(5, 20));
  EXPECT_EQ(get("/a.txt", range + "If-Range: " + tag + "\r\n").body, plain.body);
}

TEST_F(Encodings, that_lie_beside_the_file_are_sent_instead) {
  start({"--precompressed", "on"});
  for (const std::size_t size : {100u, 100'000u}) {  // from memory, and from the file
    const std::string letter = size == 100 ? "a" : "b";
    write(letter + ".png", std::string(size, 'p'));
    write(letter + ".png.gz", std::string(size, 'g'));
    write(letter + ".png.br", std::string(size, 'b'));
    const std::string target = "/" + letter + ".png";
    const Answer plain = get(target, "");
    const Answer gzip = get(target, kTakesGzip);
    const Answer br = get(target, kTakesAll);
    EXPECT_EQ(plain.body, std::string(size, 'p'));
    EXPECT_EQ(gzip.body, std::string(size, 'g'));
    EXPECT_EQ(br.body, std::string(size, 'b'));
    EXPECT_EQ(plain.field("content-encoding"), std::nullopt);
    EXPECT_EQ(gzip.field("content-encoding"), "gzip");
    EXPECT_EQ(br.field("content-encoding"), "br");
    EXPECT_NE(gzip.field("etag"), br.field("etag"));
    EXPECT_NE(gzip.field("etag"), plain.field("etag"));
    for (const Answer* answer : {&plain, &gzip, &br}) {
      EXPECT_EQ(answer->field("vary"), "Accept-Encoding");
      EXPECT_EQ(answer->field("content-type"), "image/png");
    }
  }
}

TEST_F(Encodings, that_lie_beside_the_file_come_and_go) {
  start({"--precompressed", "on", "--gzip", "off"});
  write("a.txt", text_of(1000));
  EXPECT_EQ(get("/a.txt", kTakesAll).body, text_of(1000));
  write("a.txt.br", "br");
  EXPECT_TRUE(eventually([&] { return get("/a.txt", kTakesAll).body == "br"; }));
  std::filesystem::remove(path("a.txt.br"));
  EXPECT_TRUE(eventually([&] { return get("/a.txt", kTakesAll).body == text_of(1000); }));
}

TEST_F(Encodings, that_are_older_than_the_file_or_no_files_are_not_used) {
  start({"--precompressed", "on", "--gzip", "off"});
  write("a.txt", text_of(1000));
  write("a.txt.gz", "old");
  std::filesystem::last_write_time(path("a.txt.gz"),
                                   std::filesystem::last_write_time(path("a.txt")) - 1s);
  std::filesystem::create_directory(path("a.txt.br"));
  EXPECT_EQ(get("/a.txt", kTakesAll).body, text_of(1000));
}

TEST_F(Encodings, are_understood_by_curl) {
  start();
  write("a.txt", text_of(100'000));
  const HttpdRun run = run_program({"curl", "--silent", "--show-error", "--fail", "--noproxy", "*",
                                    "--compressed", server_->urls().at(0) + "a.txt"});
  EXPECT_TRUE(run.status.success()) << run.errors;
  EXPECT_TRUE(run.output == text_of(100'000));
}

}  // namespace
}  // namespace procpool::test
