// What the configuration says by host and path, as clients see it.
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "servers/http/basic_authentication.hpp"
#include "servers/models/password.hpp"
#include "tests/support/contains.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/http_server.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::test {
namespace {

namespace fs = std::filesystem;

class Sites : public testing::Test {
 protected:
  void start(std::string_view config) {
    std::ofstream{folder_.path() / "httpd.toml"} << config;
    server_ = std::make_unique<HttpServer>(HttpServerSetup{
        .arguments = {"--workers", "1", "--config", folder_.path() / "httpd.toml"}});
    client_ = std::make_unique<HttpClient>(server_->port());
  }
  void write(const fs::path& name, std::string_view text) const {
    fs::create_directories((server_->root() / name).parent_path());
    std::ofstream{server_->root() / name} << text;
  }
  Answer get(std::string_view target, std::string_view fields = {}) const {
    client_->send(get_request(target, fields));
    return client_->receive();
  }
  Answer get_from(std::string_view host, std::string_view target) const {
    client_->send("GET " + std::string{target} + " HTTP/1.1\r\nHost: " + std::string{host} +
                  "\r\n\r\n");
    return client_->receive();
  }
  std::string fresh_directory(const std::string& name) const {
    const fs::path path = folder_.path() / name;
    fs::create_directory(path);
    return path;
  }

  TempDir folder_;
  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<HttpClient> client_;
};

TEST_F(Sites, redirect_what_lies_beneath_a_path) {
  start(R"(
[[path]]
prefix = "/old"
redirect = "308 https://example.org/new/*"
[[path]]
prefix = "/here"
redirect = "302 /there"
)");
  for (const auto& [target, location] :
       std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {"/old/a/b?c=d", "https://example.org/new/a/b?c=d"},
           {"/old/", "https://example.org/new/"},
           {"/old", "https://example.org/new/"},
           {"/old/a%20b/", "https://example.org/new/a%20b/"},
           {"//%6fld/%0d%0aX:%20y", "https://example.org/new/%0D%0AX%3A%20y"}}) {
    const Answer answer = get(target);
    EXPECT_EQ(answer.status, 308) << target;
    EXPECT_EQ(answer.field("location"), location) << target;
  }
  EXPECT_EQ(get("/here/x").status, 302);
  EXPECT_EQ(get("/here/x?y").field("location"), "/there");
  EXPECT_EQ(get("/older").status, 404);
}

TEST_F(Sites, add_fields_and_cache_rules) {
  start(R"(
headers = ["X-Frame-Options: DENY", "X-Two: 2"]
[[path]]
prefix = "/assets"
cache-control = "max-age=3600"
)");
  write("file", "text");
  write("assets/file", "text");
  const Answer plain = get("/file");
  EXPECT_EQ(plain.field("x-frame-options"), "DENY");
  EXPECT_EQ(plain.field("x-two"), "2");
  EXPECT_EQ(plain.field("cache-control"), std::nullopt);
  const Answer asset = get("/assets/file");
  EXPECT_EQ(asset.field("cache-control"), "max-age=3600");
  EXPECT_EQ(asset.field("x-two"), "2");
  const Answer same = get("/assets/file", "If-None-Match: " + *asset.field("etag") + "\r\n");
  EXPECT_EQ(same.status, 304);
  EXPECT_EQ(same.field("cache-control"), "max-age=3600");
  EXPECT_EQ(same.field("x-frame-options"), "DENY");
  const Answer part = get("/assets/file", "Range: bytes=0-0\r\n");
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.field("cache-control"), "max-age=3600");
  const Answer none = get("/assets/none");
  EXPECT_EQ(none.field("x-frame-options"), "DENY");
  EXPECT_EQ(none.field("cache-control"), std::nullopt);
}

TEST_F(Sites, have_error_pages_of_their_own) {
  start(R"(error-pages = ["404 /errors/404.html", "403 /errors/none.html"])");
  write("errors/404.html", "<p>not here");
  fs::create_directory(server_->root() / "d");
  const Answer answer = get("/none");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.body, "<p>not here");
  EXPECT_EQ(answer.field("content-type"), "text/html; charset=utf-8");
  EXPECT_EQ(answer.field("etag"), std::nullopt);
  EXPECT_EQ(get("/errors/404.html").status, 200);
  const Answer built_in = get("/d/");
  EXPECT_EQ(built_in.status, 403);
  EXPECT_NE(built_in.body.find("403 Forbidden"), std::string::npos);
}

TEST_F(Sites, answer_by_their_error_pages_also_what_names_no_host) {
  start(R"(
error-pages = ["400 /e", "405 /e", "408 /e", "413 /e", "414 /e", "431 /e", "501 /e", "505 /e"]
headers = ["X-Site: default"]
header-timeout = "2s"
max-body = 10
[[host]]
names = ["a"]
error-pages = ["404 /e"]
)");
  write("e", "ours");
  const auto expect_page = [&](const std::string& bytes, int status) {
    HttpClient client{server_->port()};
    client.send(bytes);
    const Answer answer = client.receive();
    EXPECT_EQ(answer.status, status);
    EXPECT_EQ(answer.body, "ours") << status;
    EXPECT_EQ(answer.field("x-site"), "default") << status;
  };
  expect_page("nonsense\r\n\r\n", 400);
  expect_page("GET / HTTP/1.1\r\nHost: a\r\nX: ", 408);
  expect_page(request("POST", "/", "Content-Length: 11\r\n"), 413);
  expect_page(request("GET", "/" + std::string(20'000, 'a')), 414);
  expect_page(get_request("/", "X: " + std::string(70'000, 'a') + "\r\n"), 431);
  expect_page(request("BREW", "/"), 501);
  expect_page("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505);
  expect_page("POST / HTTP/1.1\r\nHost: other\r\nContent-Length: 0\r\n\r\n", 405);
}

TEST_F(Sites, have_rules_for_the_ends_of_names) {
  start(R"(
[[path]]
suffix = ".html"
cache-control = "no-cache"
[[path]]
suffix = ".old"
redirect = "301 /new/*"
[[path]]
prefix = "/assets"
suffix = ".js"
cache-control = "immutable"
headers = ["X-Rule: js"]
)");
  fs::create_directory(server_->root() / "assets");
  for (const char* name : {"a.html", "a.js", "assets/a.js", "assets/a.html"}) write(name, name);
  EXPECT_EQ(get("/a.html").field("cache-control"), "no-cache");
  EXPECT_EQ(get("/assets/a.html").field("cache-control"), "no-cache");
  EXPECT_EQ(get("/a.js").field("cache-control"), std::nullopt);
  EXPECT_EQ(get("/assets/a.js").field("cache-control"), "immutable");
  EXPECT_EQ(get("/assets/a.js").field("x-rule"), "js");
  EXPECT_EQ(get("/d/x.old?y").field("location"), "/new/d/x.old?y");
}

TEST_F(Sites, show_the_server_beside_the_files_where_that_is_wanted) {
  start("");
  EXPECT_EQ(get("/status.json").status, 404);
  start("status = \"/server\"\n");
  write("file", "a file");
  EXPECT_EQ(get("/file").body, "a file");
  EXPECT_TRUE(contains(get("/server/status").body, "<html"));
  EXPECT_TRUE(contains(get("/server/status.json").body, "\"workers\""));
  EXPECT_TRUE(contains(get("/server/metrics").body, "procpool_httpd_requests_total"));
  EXPECT_EQ(get("/server/").status, 404);
  EXPECT_EQ(get("/status.json").status, 404);
}

TEST_F(Sites, of_several_hosts_have_roots_of_their_own) {
  const std::string one = fresh_directory("one");
  const std::string wild = fresh_directory("wild");
  std::ofstream{one + "/file"} << "one";
  std::ofstream{wild + "/file"} << "wild";
  fs::create_directory(wild + "/list");
  start("[[host]]\nnames = [\"one.example\"]\nroot = \"" + one +
        "\"\n[[host]]\nnames = [\"*.example\"]\nroot = \"" + wild +
        "\"\n[[host.path]]\nprefix = \"/list\"\nlisting = true\n");
  write("file", "default");
  EXPECT_EQ(get_from("one.example", "/file").body, "one");
  EXPECT_EQ(get_from("ONE.EXAMPLE:80", "/file").body, "one");
  EXPECT_EQ(get_from("two.example", "/file").body, "wild");
  EXPECT_EQ(get_from("elsewhere", "/file").body, "default");
  EXPECT_EQ(get_from("elsewhere", "http://one.example/file").body, "one");
  EXPECT_EQ(get_from("two.example", "/list/").status, 200);
  EXPECT_EQ(get_from("two.example", "/").status, 403);
  EXPECT_EQ(get_from("one.example", "/list/").status, 404);
}

TEST_F(Sites, ask_for_a_password) {
  const std::string users = folder_.path() / "users";
  std::ofstream{users} << "Aladdin:" << models::hash_password("open sesame") << "\n";
  start("[[path]]\nprefix = \"/cave\"\nusers = \"" + users + "\"\nrealm = \"the cave\"\n");
  write("cave/gold", "gold");
  write("cave/index.html", "cave");
  write("file", "text");
  constexpr auto kRight = "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n";
  constexpr auto kWrong = "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtYQ==\r\n";
  EXPECT_EQ(get("/file").body, "text");
  for (const std::string_view target :
       {"/cave/gold", "/cave", "//cave/", "/%63ave/gold", "/x/../cave/gold", "/cave/none"}) {
    for (const std::string_view fields : {"", kWrong}) {
      const Answer answer = get(target, fields);
      EXPECT_EQ(answer.status, 401) << target;
      EXPECT_EQ(answer.field("www-authenticate"), "Basic realm=\"the cave\", charset=\"UTF-8\"");
    }
  }
  for (int round = 0; round < 2; ++round) EXPECT_EQ(get("/cave/gold", kRight).body, "gold");
  EXPECT_EQ(get("/cave/gold").status, 401);
  EXPECT_EQ(get("/cave/none", kRight).status, 404);

  const HttpdRun run =
      run_program({"curl", "--silent", "--show-error", "--fail", "--noproxy", "*", "--user",
                   "Aladdin:open sesame", server_->urls().at(0) + "cave/gold"});
  EXPECT_EQ(run.output, "gold") << run.errors;
}

TEST_F(Sites, change_with_a_reload) {
  start("[[path]]\nprefix = \"/a\"\nredirect = \"302 /b\"\n");
  write("a", "text");
  EXPECT_EQ(get("/a").status, 302);
  std::ofstream{folder_.path() / "httpd.toml"} << "";
  server_->signal(SIGHUP);
  EXPECT_TRUE(eventually([&] { return HttpClient{server_->port()}.get("/a").status == 200; }));
}

TEST(HashPassword, makes_a_line_that_users_may_have) {
  const HttpdRun run =
      run_program({"sh", "-c", "echo secret | \"$0\" --hash-password somebody", httpd_program()});
  ASSERT_TRUE(run.status.success()) << run.errors;
  EXPECT_EQ(http::parse_users(run.output, "f").count("somebody"), 1u);
}

}  // namespace
}  // namespace procpool::test
