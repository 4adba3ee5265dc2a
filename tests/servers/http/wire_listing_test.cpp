// Directories as clients see them.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/http_client.hpp"
#include "tests/support/http_server.hpp"

namespace procpool::test {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

class Listing : public testing::Test {
 protected:
  void SetUp() override { start({}); }
  void start(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--workers", "1", "--listing", "on"});
    server_ = std::make_unique<HttpServer>(HttpServerSetup{.arguments = std::move(arguments)});
    client_ = std::make_unique<HttpClient>(server_->port());
  }

  fs::path path(std::string_view name) const { return server_->root() / name; }
  void write(std::string_view name, std::size_t size, std::time_t modified = 1'000'000'000) const {
    fs::create_directories(path(name).parent_path());
    std::ofstream{path(name)} << std::string(size, 'x');
    const timespec times[] = {{modified, 0}, {modified, 0}};
    EXPECT_EQ(::utimensat(AT_FDCWD, path(name).c_str(), times, 0), 0);
  }
  Answer get(std::string_view target) const { return client_->get(target); }

  // As the page has them, without "../".
  Names links(std::string_view target) const {
    const std::string body = get(target).body;
    const std::regex link{"<a href=\"\\./([^\"]*)\""};
    Names names;
    for (std::sregex_iterator at{body.begin(), body.end(), link}, end; at != end; ++at)
      names.push_back((*at)[1]);
    return names;
  }

  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<HttpClient> client_;
};

TEST_F(Listing, has_files_and_directories_in_order) {
  write("b", 20, 3000);
  write("a", 30, 1000);
  write("c", 10, 2000);
  write("z/file", 1);
  EXPECT_EQ(links("/"), (Names{"z/", "a", "b", "c"}));
  EXPECT_EQ(links("/?sort=name&order=desc"), (Names{"z/", "c", "b", "a"}));
  EXPECT_EQ(links("/?sort=size"), (Names{"z/", "c", "b", "a"}));
  EXPECT_EQ(links("/?sort=size&order=desc"), (Names{"z/", "a", "b", "c"}));
  EXPECT_EQ(links("/?sort=time"), (Names{"z/", "a", "c", "b"}));
  EXPECT_EQ(links("/?sort=colour&order=up&x"), (Names{"z/", "a", "b", "c"}));
}

TEST_F(Listing, leads_up_but_not_out_of_the_root) {
  write("d/file", 1);
  EXPECT_NE(get("/d/").body.find("href=\"../\""), std::string::npos);
  EXPECT_EQ(get("/").body.find("href=\"../\""), std::string::npos);
  EXPECT_NE(get("/d/").body.find("<h1>/d/</h1>"), std::string::npos);
}

TEST_F(Listing, is_JSON_for_programs) {
  write("file \"1\"", 5, 1'000'000'000);
  fs::create_directory(path("d"));
  write(std::string_view{"\xff"}, 1);
  const Answer answer = get("/?format=json");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.field("content-type"), "application/json");
  const auto list = nlohmann::json::parse(answer.body);
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(list[0]["name"], "d");
  EXPECT_EQ(list[0]["type"], "directory");
  EXPECT_FALSE(list[0].contains("size"));
  EXPECT_EQ(list[1]["name"], "file \"1\"");
  EXPECT_EQ(list[1]["type"], "file");
  EXPECT_EQ(list[1]["size"], 5);
  EXPECT_EQ(list[1]["modified"], 1'000'000'000);
  EXPECT_EQ(list[2]["name"], "\xef\xbf\xbd");
  fs::create_directory(path("empty"));
  EXPECT_EQ(nlohmann::json::parse(get("/empty/?format=json").body), nlohmann::json::array());
}

TEST_F(Listing, has_links_that_lead_to_the_files) {
  for (const char* name :
       {"a b", "<b>", "a&b", "q?x=1", "100%", "#1", "http:evil", "\xc3\xa4", "\"", "new\nline"}) {
    write(name, 7);
  }
  const Names names = links("/");
  ASSERT_EQ(names.size(), 10u);
  for (const std::string& name : names) {
    const Answer answer = get("/" + name);
    EXPECT_EQ(answer.status, 200) << name;
    EXPECT_EQ(answer.body.size(), 7u) << name;
  }
  EXPECT_EQ(get("/").body.find("<b>"), std::string::npos);
}

TEST_F(Listing, has_nothing_that_is_not_served) {
  write("file", 1);
  write(".hidden", 1);
  std::ofstream{server_->folder() / "secret"} << "secret";
  fs::create_symlink("../secret", path("outside"));
  fs::create_symlink("nowhere", path("broken"));
  fs::create_symlink("file", path("link"));
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0666), 0);
  EXPECT_EQ(links("/"), (Names{"file", "link"}));
  EXPECT_EQ(links("/?sort=size"), (Names{"file", "link"}));
}

TEST_F(Listing, follows_the_policies_on_links_and_dots) {
  start({"--symlinks", "off", "--dot-files", "on"});
  write("file", 1);
  write(".hidden", 1);
  fs::create_symlink("file", path("link"));
  EXPECT_EQ(links("/"), (Names{".hidden", "file"}));
}

TEST_F(Listing, gives_way_to_an_index) {
  write("d/index.html", 5);
  EXPECT_EQ(get("/d/").body, "xxxxx");
  fs::remove(path("d/index.html"));
  write("d/file", 1);
  client_->send(get_request("/d", ""));
  EXPECT_EQ(client_->receive().status, 301);
}

TEST_F(Listing, of_a_large_directory_comes_in_chunks) {
  constexpr int kFiles = 5000;
  fs::create_directory(path("d"));
  for (int i = 0; i < kFiles; ++i) std::ofstream{path("d/file " + std::to_string(i))};
  const Answer page = get("/d/");
  EXPECT_EQ(page.field("transfer-encoding"), "chunked");
  EXPECT_EQ(links("/d/").size(), std::size_t{kFiles});
  EXPECT_TRUE(page.body.ends_with("</html>\n"));
  EXPECT_EQ(nlohmann::json::parse(get("/d/?format=json").body).size(), std::size_t{kFiles});

  client_->send("HEAD /d/ HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(client_->receive(To::head).status, 200);
  EXPECT_EQ(get("/none").status, 404);
}

TEST_F(Listing, for_1_0_ends_with_the_connection) {
  fs::create_directory(path("d"));
  for (int i = 0; i < 5000; ++i) std::ofstream{path("d/file " + std::to_string(i))};
  const HttpdRun run = run_program(
      {"curl", "--silent", "--show-error", "--fail", "--noproxy", "*", "--http1.0", "--header",
       "Connection: keep-alive", "--dump-header", "-", server_->urls().at(0) + "d/?format=json"});
  EXPECT_TRUE(run.status.success()) << run.errors;
  EXPECT_EQ(run.output.find("Transfer-Encoding"), std::string::npos);
  EXPECT_NE(run.output.find("Connection: close"), std::string::npos);
  const auto body = run.output.find("\r\n\r\n");
  ASSERT_NE(body, std::string::npos);
  EXPECT_EQ(nlohmann::json::parse(run.output.substr(body)).size(), 5000u);
}

}  // namespace
}  // namespace procpool::test
