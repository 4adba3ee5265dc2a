// The logs of procpool-httpd, and its service when they cannot be written.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "ipc/base/deadline.hpp"
#include "ipc/base/io.hpp"
#include "servers/net/address.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/http_server.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::test {
namespace {

namespace fs = std::filesystem;
using proc::ExitStatus;

class Logs : public testing::Test {
 protected:
  Logs() { fs::permissions(dir_.path(), fs::perms{0755}); }

  static std::string text_of(const fs::path& path) {
    return fs::exists(path) ? read_file(path) : std::string{};
  }
  static bool await_text(const fs::path& path, const std::string& text) {
    return eventually([&] { return text_of(path).find(text) != std::string::npos; });
  }
  static std::ptrdiff_t lines_of(const fs::path& path) {
    const std::string text = text_of(path);
    return std::count(text.begin(), text.end(), '\n');
  }

  TempDir dir_;
  fs::path access_ = dir_.path() / "access.log";
  fs::path error_ = dir_.path() / "error.log";
};

TEST_F(Logs, have_a_line_for_each_request_in_the_combined_format) {
  const HttpServer server{{.arguments = {"--access-log", access_}}};
  std::ofstream{server.root() / "file"} << "text";
  HttpClient client{server.port()};
  client.send(get_request("/file?a=b", "Referer: http://b/\r\nUser-Agent: test \"1\"\r\n"));
  EXPECT_EQ(client.receive().status, 200);
  ASSERT_TRUE(await_text(access_, "\n"));
  EXPECT_TRUE(std::regex_match(
      text_of(access_),
      std::regex{R"(127\.0\.0\.1 - - \[\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] )"
                 R"("GET /file\?a=b HTTP/1\.1" 200 4 "http://b/" "test \\x221\\x22"\n)"}))
      << text_of(access_);
}

TEST_F(Logs, are_objects_of_json_whatever_a_client_sends) {
  const HttpServer server{{.arguments = {"--access-log", access_, "--access-log-format", "json"}}};
  HttpClient client{server.port()};
  client.send(get_request("/a", "User-Agent: \"\\\xff\xc3\xa4\x80\r\nReferer: \xe2\x82\xac\r\n"));
  EXPECT_EQ(client.receive().status, 404);
  client.send("GET /\"\xff\x1b[31m HTTP/1.1\r\n\r\n");
  EXPECT_EQ(client.receive_rest().statuses(), std::vector{400});
  ASSERT_TRUE(eventually([&] { return lines_of(access_) == 2; }));

  std::istringstream lines{text_of(access_)};
  std::vector<nlohmann::json> objects;
  for (std::string line; std::getline(lines, line);) objects.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(objects.size(), 2U);
  EXPECT_EQ(objects[0].at("method"), "GET");
  EXPECT_EQ(objects[0].at("target"), "/a");
  EXPECT_EQ(objects[0].at("protocol"), "HTTP/1.1");
  EXPECT_EQ(objects[0].at("status"), 404);
  EXPECT_EQ(objects[0].at("client"), "127.0.0.1");
  EXPECT_EQ(objects[0].at("referer"), "\xe2\x82\xac");
  EXPECT_EQ(objects[0].at("user_agent"), "\"\\\xef\xbf\xbd\xc3\xa4\xef\xbf\xbd");
  EXPECT_GT(objects[0].at("duration_us"), 0);
  EXPECT_TRUE(std::ranges::count(server.worker_pids(), objects[0].at("worker").get<pid_t>()));
  EXPECT_TRUE(std::regex_match(objects[0].at("time").get<std::string>(),
                               std::regex{R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d)"}));
  EXPECT_EQ(objects[1].at("status"), 400);
}

TEST_F(Logs, tell_what_was_sent_to_a_client_that_left_within_its_answer) {
  const HttpServer server{{.arguments = {"--access-log", access_, "--workers", "1"}}};
  constexpr std::uint64_t kSize = 64 << 20;  // more than what the kernel keeps for both
  std::ofstream{server.root() / "large"};
  fs::resize_file(server.root() / "large", kSize);
  {
    HttpClient client{server.port()};
    client.send(get_request("/large"));
    ASSERT_TRUE(client.readable(Deadline::in(kPatience)));
  }
  ASSERT_TRUE(await_text(access_, "\n"));
  std::smatch found;
  const std::string text = text_of(access_);
  ASSERT_TRUE(std::regex_search(text, found, std::regex{"\"GET /large HTTP/1\\.1\" 200 (\\d+) "}))
      << text;
  EXPECT_LT(std::stoull(found[1]), kSize);
}

TEST_F(Logs, have_a_line_for_what_was_refused) {
  const HttpServer server{{.arguments = {"--access-log", access_}}};
  HttpClient client{server.port()};
  client.send("GET /\x1b[31m HTTP/1.1\r\n\r\n");
  EXPECT_EQ(client.receive_rest().statuses(), std::vector{400});
  EXPECT_TRUE(await_text(access_, "\" 400 "));
  EXPECT_EQ(text_of(access_).find('\x1b'), std::string::npos);
}

TEST_F(Logs, count_the_bytes_of_bodies) {
  const HttpServer server{{.arguments = {"--access-log", access_}}};
  std::ofstream{server.root() / "large"} << std::string(100'000, 'l');
  HttpClient client{server.port()};
  EXPECT_EQ(client.get("/large").status, 200);
  client.send("HEAD /large HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(client.receive(To::head).status, 200);
  EXPECT_TRUE(await_text(access_, "\"GET /large HTTP/1.1\" 200 100000 "));
  EXPECT_TRUE(await_text(access_, "\"HEAD /large HTTP/1.1\" 200 0 "));
}

TEST_F(Logs, go_to_standard_output_for_a_dash) {
  HttpServer server{{.arguments = {"--access-log", "-"}}};
  HttpClient{server.port()}.get("/none");
  std::string output;
  EXPECT_TRUE(eventually([&] {
    output += server.output();
    return output.find("\"GET /none HTTP/1.1\" 404 ") != std::string::npos;
  })) << output;
}

TEST_F(Logs, of_clients_at_a_unix_socket_say_so) {
  const std::string address = "unix:" + (dir_.path() / "socket").string();
  const HttpServer server{{.arguments = {"--access-log", access_}, .listen = {address}}};
  HttpClient{net::Address::parse(address)}.get("/none");
  EXPECT_TRUE(await_text(access_, "unix - - ["));
}

TEST_F(Logs, begin_anew_at_USR1_after_they_were_renamed) {
  HttpServer server{
      {.arguments = {"--access-log", access_, "--error-log", error_, "--workers", "2"}}};
  const fs::path old_access = dir_.path() / "access.log.1";
  const fs::path old_error = dir_.path() / "error.log.1";
  std::ptrdiff_t requests = 0;
  const auto get = [&] {
    ++requests;
    return HttpClient{server.port()}.get("/none").status == 404;
  };
  EXPECT_TRUE(get());
  ASSERT_TRUE(await_text(access_, "\n"));
  fs::rename(access_, old_access);
  fs::rename(error_, old_error);
  server.signal(SIGUSR1);
  EXPECT_TRUE(eventually([&] { return get() && lines_of(access_) > 10; }));
  EXPECT_TRUE(fs::exists(error_));
  server.signal(SIGHUP);
  EXPECT_TRUE(await_text(error_, "reloaded"));
  EXPECT_TRUE(eventually([&] { return lines_of(old_access) + lines_of(access_) == requests; }))
      << requests;
  EXPECT_EQ(server.stop(), ExitStatus::exited(0));
}

TEST_F(Logs, of_errors_go_to_their_file) {
  HttpServer server{{.arguments = {"--error-log", error_}}};
  EXPECT_TRUE(await_text(error_, "serving with"));
  EXPECT_EQ(server.stop(), ExitStatus::exited(0));
  EXPECT_EQ(server.errors(), "");
}

TEST_F(Logs, that_find_the_disk_full_stop_nobody) {
  HttpServer server{{.arguments = {"--access-log", "/dev/full", "--workers", "1"}}};
  HttpClient client{server.port()};
  for (int i = 0; i < 100; ++i) ASSERT_EQ(client.get("/none").status, 404);
  EXPECT_TRUE(server.await_error("/dev/full"));
  EXPECT_EQ(server.stop(), ExitStatus::exited(0));
  const std::string errors = server.errors();
  const std::string reason = "No space left on device";
  EXPECT_NE(errors.find(reason), std::string::npos) << errors;
  EXPECT_EQ(errors.find(reason), errors.rfind(reason)) << "said more than once:\n" << errors;
}

TEST_F(Logs, of_errors_that_find_the_disk_full_stop_nobody) {
  HttpServer server{{.arguments = {"--error-log", "/dev/full"}}};
  server.signal(SIGHUP);
  EXPECT_EQ(HttpClient{server.port()}.get("/none").status, 404);
  server.signal(SIGUSR1);
  EXPECT_EQ(HttpClient{server.port()}.get("/none").status, 404);
  EXPECT_EQ(server.stop(), ExitStatus::exited(0));
}

TEST_F(Logs, that_lose_their_directory_stop_nobody_and_come_back_with_it) {
  const fs::path folder = dir_.path() / "logs";
  const fs::path log = folder / "access.log";
  fs::create_directory(folder);
  HttpServer server{{.arguments = {"--access-log", log, "--workers", "1"}}};
  HttpClient client{server.port()};
  EXPECT_EQ(client.get("/none").status, 404);
  fs::remove_all(folder);
  EXPECT_EQ(client.get("/none").status, 404);
  server.signal(SIGUSR1);
  EXPECT_TRUE(server.await_error("No such file or directory"));
  EXPECT_EQ(client.get("/none").status, 404);
  fs::create_directory(folder);
  server.signal(SIGUSR1);
  EXPECT_TRUE(eventually([&] { return client.get("/none").status == 404 && lines_of(log) > 0; }));
  EXPECT_EQ(server.stop(), ExitStatus::exited(0));
}

TEST_F(Logs, are_written_by_workers_of_another_user) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be somebody else";
  HttpServer server{{.arguments = {"--user", "nobody", "--group", "daemon", "--access-log", access_,
                                   "--error-log", error_}}};
  HttpClient client{server.port()};
  EXPECT_EQ(client.get("/none").status, 404);
  EXPECT_TRUE(await_text(access_, "GET /none"));
  for (const pid_t worker : server.worker_pids()) {
    struct stat facts{};
    ASSERT_EQ(::stat(("/proc/" + std::to_string(worker)).c_str(), &facts), 0);
    const std::string status = read_file("/proc/" + std::to_string(worker) + "/status");
    EXPECT_NE(status.find("\nUid:\t65534\t65534\t65534\t65534\n"), std::string::npos) << status;
    EXPECT_NE(status.find("\nGid:\t1\t1\t1\t1\n"), std::string::npos) << status;
  }
  fs::rename(access_, dir_.path() / "old");
  server.signal(SIGUSR1);
  EXPECT_TRUE(
      eventually([&] { return client.get("/none").status == 404 && lines_of(access_) > 0; }));
}

}  // namespace
}  // namespace procpool::test
