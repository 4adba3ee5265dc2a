// PUT, DELETE and MKCOL, as clients use them.
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "ipc/base/deadline.hpp"
#include "ipc/base/io.hpp"
#include "servers/models/password.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/http_server.hpp"

namespace procpool::test {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class Stores : public testing::Test {
 protected:
  void SetUp() override { start({}); }
  void start(std::vector<std::string> arguments, const std::string& workers = "2") {
    arguments.insert(arguments.end(), {"--workers", workers, "--writable", "on"});
    server_ = std::make_unique<HttpServer>(HttpServerSetup{.arguments = std::move(arguments)});
    client_ = std::make_unique<HttpClient>(server_->port());
  }

  fs::path path(std::string_view name) const { return server_->root() / name; }
  std::string content(std::string_view name) const { return read_file(path(name)); }
  Answer ask(const std::string& bytes) const {
    client_->send(bytes);
    return client_->receive();
  }
  Answer put(std::string_view target, std::string_view body, std::string_view fields = {}) const {
    const std::string length = "Content-Length: " + std::to_string(body.size()) + "\r\n";
    return ask(request("PUT", target, length + std::string{fields}, body));
  }
  int remove(std::string_view target, std::string_view fields = {}) const {
    return ask(request("DELETE", target, fields)).status;
  }
  int make_collection(std::string_view target, std::string_view fields = {},
                      std::string_view body = {}) const {
    return ask(request("MKCOL", target, fields, body)).status;
  }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator{server_->root()}, fs::directory_iterator{}));
  }

  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<HttpClient> client_;
};

TEST_F(Stores, make_and_replace_files) {
  const Answer made = put("/file", "one");
  EXPECT_EQ(made.status, 201);
  EXPECT_EQ(content("file"), "one");
  EXPECT_EQ(client_->get("/file").body, "one");
  EXPECT_EQ(client_->get("/file").field("etag"), made.field("etag"));
  for (int i = 0; i < 20; ++i) {
    const std::string body = "number " + std::to_string(i);
    const Answer replaced = put("/file", body);
    EXPECT_EQ(replaced.status, 204);
    EXPECT_NE(replaced.field("etag"), made.field("etag"));
    HttpClient other{server_->port()};  // of any worker
    EXPECT_EQ(other.get("/file").body, body);
  }
  EXPECT_EQ(put("/%C3%A4%20b", "x").status, 201);
  EXPECT_EQ(content("\xc3\xa4 b"), "x");
  EXPECT_EQ(put("/empty", "").status, 201);
  EXPECT_EQ(ask(request("PUT", "/nothing")).status, 201);
  EXPECT_EQ(content("nothing"), "");
  EXPECT_EQ(files(), 4u);
}

TEST_F(Stores, take_bodies_of_any_size_and_framing) {
  const std::string large(1'000'000, 'l');
  EXPECT_EQ(put("/large", large).status, 201);
  EXPECT_TRUE(content("large") == large);
  EXPECT_EQ(ask(request("PUT", "/chunks", "Transfer-Encoding: chunked\r\n",
                        "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nContent-Length: 5\r\n\r\n"))
                .status,
            201);
  EXPECT_EQ(content("chunks"), "abcdefg");
  EXPECT_EQ(ask(request("PUT", "/large", "Content-Length: 1048577\r\n")).status, 413);
  EXPECT_TRUE(content("large") == large);
}

TEST_F(Stores, tell_a_client_that_waits_to_go_on) {
  client_->send(request("PUT", "/file", "Content-Length: 5\r\nExpect: 100-continue\r\n"));
  EXPECT_EQ(client_->receive().status, 100);
  client_->send("12345");
  EXPECT_EQ(client_->receive().status, 201);
  EXPECT_EQ(content("file"), "12345");

  client_->send(request("PUT", "/none/file", "Content-Length: 5\r\nExpect: 100-continue\r\n"));
  const Answer refused = client_->receive();
  EXPECT_EQ(refused.status, 409);
  EXPECT_TRUE(refused.says_close());
}

TEST_F(Stores, remove_files) {
  EXPECT_EQ(put("/file", "x").status, 201);
  EXPECT_EQ(client_->get("/file").status, 200);
  EXPECT_EQ(remove("/file"), 204);
  EXPECT_EQ(client_->get("/file").status, 404);
  EXPECT_EQ(remove("/file"), 404);
  EXPECT_EQ(remove("/none/file"), 404);
  EXPECT_EQ(files(), 0u);
}

TEST_F(Stores, refuse_what_is_no_place_for_a_file) {
  fs::create_directory(path("d"));
  std::ofstream{server_->folder() / "secret"} << "secret";
  fs::create_directory_symlink("..", path("up"));
  fs::create_symlink("../secret", path("link"));
  for (const std::string_view target : {"/d", "/d/", "/none/file", "/none/", "/"}) {
    EXPECT_EQ(put(target, "x").status, 409) << target;
  }
  EXPECT_EQ(put("/up/secret", "x").status, 403);
  EXPECT_EQ(remove("/up/secret"), 403);
  EXPECT_EQ(put("/.hidden", "x").status, 403);
  EXPECT_EQ(put("/%zz", "x").status, 400);
  EXPECT_EQ(put("/file", "x", "Content-Range: bytes 0-0/5\r\n").status, 400);
  EXPECT_EQ(put("/link", "x").status, 204);  // the link, and not what it leads to
  EXPECT_EQ(read_file(server_->folder() / "secret"), "secret");
  EXPECT_EQ(content("link"), "x");
}

TEST_F(Stores, obey_conditions) {
  const std::string tag = *put("/file", "one").field("etag");
  EXPECT_EQ(put("/file", "two", "If-None-Match: *\r\n").status, 412);
  EXPECT_EQ(put("/file", "two", "If-Match: \"other\"\r\n").status, 412);
  EXPECT_EQ(put("/none", "two", "If-Match: *\r\n").status, 412);
  EXPECT_EQ(put("/file", "two", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n").status,
            412);
  EXPECT_EQ(remove("/file", "If-Match: \"other\"\r\n"), 412);
  EXPECT_EQ(content("file"), "one");
  EXPECT_EQ(put("/file", "two", "If-Match: " + tag + "\r\n").status, 204);
  EXPECT_EQ(remove("/file", "If-Match: " + tag + "\r\n"), 412);
  EXPECT_EQ(put("/new", "x", "If-None-Match: *\r\n").status, 201);
}

TEST_F(Stores, keep_the_old_content_when_the_new_one_does_not_come_in_full) {
  EXPECT_EQ(put("/file", "old").status, 201);
  {
    HttpClient broken{server_->port()};
    broken.send(request("PUT", "/file", "Content-Length: 100\r\n", "new"));
    broken.finish();
    EXPECT_EQ(broken.receive().status, 400);
  }
  {
    HttpClient malformed{server_->port()};
    malformed.send(request("PUT", "/file", "Transfer-Encoding: chunked\r\n", "3\r\nnewx"));
    EXPECT_EQ(malformed.receive().status, 400);
  }
  EXPECT_EQ(content("file"), "old");
  EXPECT_EQ(files(), 1u);
}

TEST_F(Stores, give_up_a_body_that_comes_in_drops) {
  start({"--header-timeout", "300ms"});
  EXPECT_EQ(put("/file", "old").status, 201);
  HttpClient slow{server_->port()};
  slow.send(request("PUT", "/file", "Content-Length: 100000\r\n"));
  while (!slow.readable(Deadline::in(20ms))) slow.send("x");
  slow.finish();
  EXPECT_EQ(slow.receive_rest().statuses(), std::vector{408});
  EXPECT_EQ(content("file"), "old");
}

// Longer than --header-timeout, but faster than the least rate.
TEST_F(Stores, let_a_long_body_take_its_time) {
  start({"--header-timeout", "300ms"});
  constexpr int kPieces = 10;
  const std::string piece(1000, 'p');
  client_->send(request("PUT", "/file", "Content-Length: 10000\r\n"));
  for (int i = 0; i < kPieces; ++i) {
    client_->send(piece);
    EXPECT_FALSE(i + 1 < kPieces && client_->readable(Deadline::in(50ms)));
  }
  EXPECT_EQ(client_->receive().status, 201);
}

TEST_F(Stores, show_readers_the_old_or_the_new_content_and_nothing_else) {
  const std::string old_text(200'000, 'o');
  const std::string new_text(300'000, 'n');
  EXPECT_EQ(put("/file", old_text).status, 201);
  HttpClient reader{server_->port()};
  for (int i = 0; i < 50; ++i) {
    client_->send(request(
        "PUT", "/file",
        "Content-Length: " + std::to_string(i % 2 == 0 ? new_text.size() : old_text.size()) +
            "\r\n",
        i % 2 == 0 ? new_text : old_text));
    const std::string seen = reader.get("/file").body;
    EXPECT_TRUE(seen == old_text || seen == new_text) << seen.size();
    EXPECT_EQ(client_->receive().status, 204);
  }
}

TEST_F(Stores, make_directories) {
  EXPECT_EQ(make_collection("/d/"), 201);
  EXPECT_EQ(make_collection("/d/e", "Content-Length: 0\r\n"), 201);
  EXPECT_EQ(put("/d/e/file", "x").status, 201);
  EXPECT_EQ(content("d/e/file"), "x");
  for (const std::string_view taken : {"/d", "/d/", "/d/e/file", "/"}) {
    EXPECT_EQ(make_collection(taken), 405) << taken;
  }
  EXPECT_EQ(make_collection("/none/d"), 409);
  EXPECT_EQ(make_collection("/.hidden"), 403);
  EXPECT_EQ(make_collection("/new", "Content-Length: 5\r\n", "<xml>"), 415);
  EXPECT_EQ(make_collection("/new", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n"), 415);
  EXPECT_EQ(make_collection("/new", "If-Match: *\r\n"), 412);
  EXPECT_FALSE(fs::exists(path("new")));
}

TEST_F(Stores, remove_directories_with_all_that_is_in_them) {
  for (const std::string_view target : {"/d", "/d/"}) {
    fs::create_directories(path("d/e/f/g"));
    fs::create_directories(path("d/.hidden"));
    for (int i = 0; i < 1000; ++i) {
      std::ofstream{path("d/e") / std::to_string(i)} << i;
    }
    EXPECT_EQ(remove(target, "If-Match: \"a\"\r\n"), 412);
    EXPECT_EQ(remove(target, "Depth: 0\r\n"), 400);
    EXPECT_EQ(files(), 1u);
    EXPECT_EQ(remove(target, "Depth: Infinity\r\n"), 204);
    EXPECT_EQ(remove(target), 404);
    EXPECT_EQ(files(), 0u);
  }
  EXPECT_EQ(put("/file", "x").status, 201);
  EXPECT_EQ(remove("/file/"), 404);
  EXPECT_EQ(remove("/"), 403);
  EXPECT_EQ(content("file"), "x");
}

TEST_F(Stores, remove_no_more_of_a_link_than_itself) {
  fs::create_directories(server_->folder() / "outside");
  std::ofstream{server_->folder() / "outside" / "kept"} << "kept";
  fs::create_directories(path("inside"));
  std::ofstream{path("inside/kept")} << "kept";
  fs::create_directories(path("d"));
  fs::create_directory_symlink("../../outside", path("d/out"));
  fs::create_directory_symlink("../inside", path("d/in"));
  fs::create_directory_symlink("inside", path("link"));
  EXPECT_EQ(remove("/d"), 204);
  EXPECT_EQ(remove("/link"), 204);
  EXPECT_EQ(files(), 1u);
  EXPECT_EQ(read_file(server_->folder() / "outside" / "kept"), "kept");
  EXPECT_EQ(content("inside/kept"), "kept");
}

TEST_F(Stores, give_a_directory_back_that_is_too_deep_to_be_removed_at_once) {
  fs::path deep{"d"};
  for (int i = 0; i < 105; ++i) deep /= "d";
  fs::create_directories(path(deep.native()));
  EXPECT_EQ(remove("/d"), 409);
  EXPECT_TRUE(fs::exists(path(deep.native())));
  EXPECT_EQ(remove("/d/d/d/d/d/d/d/d"), 204);
  EXPECT_EQ(remove("/d"), 204);
  EXPECT_EQ(files(), 0u);
}

TEST_F(Stores, take_the_tag_of_a_compressed_answer_for_the_file) {
  EXPECT_EQ(put("/file.txt", std::string(1000, 'a')).status, 201);
  client_->send(get_request("/file.txt", "Accept-Encoding: gzip\r\n"));
  const Answer compressed = client_->receive();
  EXPECT_EQ(compressed.field("content-encoding"), "gzip");
  const std::string tag = *compressed.field("etag");
  EXPECT_EQ(put("/file.txt", "two", "If-None-Match: " + tag + "\r\n").status, 412);
  EXPECT_EQ(put("/file.txt", "two", "If-Match: W/" + tag + "\r\n").status, 412);
  EXPECT_EQ(put("/file.txt", "two", "If-Match: " + tag + "\r\n").status, 204);
  EXPECT_EQ(put("/file.txt", "three", "If-Match: " + tag + "\r\n").status, 412);
  EXPECT_EQ(remove("/file.txt", "If-Match: " + tag + "\r\n"), 412);
  EXPECT_EQ(content("file.txt"), "two");
}

// The only one, which is replaced.
void kill_worker_during_upload(const HttpServer& server) {
  HttpClient client{server.port()};
  client.send(request("PUT", "/file", "Content-Length: 100\r\nExpect: 100-continue\r\n"));
  EXPECT_EQ(client.receive().status, 100);
  client.send("half");
  const auto before = server.worker_pids();
  ASSERT_EQ(::kill(before.at(0), SIGKILL), 0);
  client.receive_rest();
  EXPECT_TRUE(eventually(
      [&] { return server.worker_pids().size() == 1 && server.worker_pids() != before; }));
}

TEST_F(Stores, leave_nothing_of_an_upload_whose_worker_is_killed) {
  start({"--dot-files", "on", "--listing", "on"}, "1");
  kill_worker_during_upload(*server_);
  EXPECT_EQ(files(), 0u);
}

// openat(2) as of a file system that has no files without a name.
void forbid_files_without_a_name() {
  constexpr scmp_datum_t kWithoutName = O_TMPFILE & ~O_DIRECTORY;
  const scmp_filter_ctx filter = ::seccomp_init(SCMP_ACT_ALLOW);
  const bool done =
      filter != nullptr &&
      ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EOPNOTSUPP), SCMP_SYS(openat), 1,
                         SCMP_A2(SCMP_CMP_MASKED_EQ, kWithoutName, kWithoutName)) == 0 &&
      ::seccomp_load(filter) == 0;
  ::seccomp_release(filter);
  if (!done) throw std::runtime_error{"no filter"};
}

TEST_F(Stores, hide_an_unfinished_file_where_each_has_a_name) {
  server_.reset();
  Forked child{[this] {
    forbid_files_without_a_name();
    start({"--dot-files", "on", "--listing", "on"}, "1");
    kill_worker_during_upload(*server_);
    EXPECT_EQ(files(), 1u);
    client_ = std::make_unique<HttpClient>(server_->port());
    EXPECT_EQ(client_->get("/?format=json").body, "[\n]\n");
    EXPECT_EQ(client_->get("/.procpool-new-0").status, 404);
    EXPECT_EQ(remove("/.procpool-new-0"), 403);

    EXPECT_EQ(put("/file", "new").status, 201);  // takes that file over
    EXPECT_EQ(files(), 1u);
    EXPECT_EQ(content("file"), "new");
    HttpClient slow{server_->port()};
    slow.send(request("PUT", "/other", "Content-Length: 5\r\nExpect: 100-continue\r\n"));
    EXPECT_EQ(slow.receive().status, 100);
    EXPECT_EQ(put("/file", "newer").status, 204);
    slow.send("other");
    EXPECT_EQ(slow.receive().status, 201);
    EXPECT_EQ(content("file"), "newer");
    EXPECT_EQ(content("other"), "other");
    EXPECT_EQ(files(), 2u);
    client_.reset();
    server_.reset();
  }};
  EXPECT_EQ(child.wait(), exited(0));
}

TEST_F(Stores, pass_the_basic_tests_of_litmus) {
  if (!fs::exists("/usr/bin/litmus")) GTEST_SKIP() << "litmus is not installed";
  const HttpdRun run = run_program(
      {"env", "TESTS=basic", "HTDOCS=/usr/share/litmus/htdocs", "litmus", server_->urls().at(0)},
      {.working_directory = server_->folder()});
  EXPECT_TRUE(run.status.success()) << run.output << run.errors;
  EXPECT_NE(run.output.find("0 failed"), std::string::npos) << run.output;
}

TEST_F(Stores, are_named_by_OPTIONS) {
  constexpr auto kMethods = "GET, HEAD, OPTIONS, PUT, DELETE, MKCOL";
  const Answer options = ask(request("OPTIONS", "/file"));
  EXPECT_EQ(options.status, 204);
  EXPECT_EQ(options.field("allow"), kMethods);
  EXPECT_EQ(options.field("dav"), "1");
  EXPECT_EQ(ask(request("POST", "/file")).field("allow"), kMethods);
  EXPECT_EQ(ask(request("OPTIONS", "*")).status, 204);
}

TEST_F(Stores, ask_for_a_password) {
  const std::string users = server_->folder() / "users";
  std::ofstream{users} << "Aladdin:" << models::hash_password("open sesame") << "\n";
  const std::string kept = read_file(users);
  const TempDir folder;
  std::ofstream{folder.path() / "users"} << kept;
  start({"--users", folder.path() / "users"});
  EXPECT_EQ(put("/file", "x").status, 401);
  EXPECT_EQ(remove("/file"), 401);
  constexpr auto kRight = "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n";
  EXPECT_EQ(put("/file", "x", kRight).status, 201);
  EXPECT_EQ(remove("/file", kRight), 204);
}

TEST_F(Stores, work_with_curl) {
  std::ofstream{server_->folder() / "source"} << std::string(500'000, 's');
  const HttpdRun run =
      run_program({"curl", "--silent", "--show-error", "--fail", "--noproxy", "*", "--upload-file",
                   server_->folder() / "source", server_->urls().at(0) + "copy"});
  EXPECT_TRUE(run.status.success()) << run.errors;
  EXPECT_TRUE(content("copy") == std::string(500'000, 's'));
}

}  // namespace
}  // namespace procpool::test
