// CGI programs: what they are told, what becomes of what they say, and what they cannot break.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/deadline.hpp"
#include "ipc/base/io.hpp"
#include "servers/models/password.hpp"
#include "tests/support/children.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/http_server.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::test {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class Cgi : public testing::Test {
 protected:
  void SetUp() override { start({}); }
  void TearDown() override {
    server_.reset();
    EXPECT_TRUE(await_no_children()) << "programs are left";
  }

  // Programs answer beneath /cgi-bin, files everything else.
  void start(const std::vector<std::string>& arguments, const std::string& more = {}) {
    fs::permissions(programs_.path(), fs::perms{0755});
    std::ofstream{config()} << "[[path]]\nprefix = \"/cgi-bin\"\ncgi = \""
                            << programs_.path().string() << "\"\n"
                            << more;
    std::vector<std::string> all{"--workers", "1", "--config", config()};
    all.insert(all.end(), arguments.begin(), arguments.end());
    server_ = std::make_unique<HttpServer>(HttpServerSetup{.arguments = std::move(all)});
  }
  std::string config() const { return folder_.path() / "config.toml"; }

  void program(const std::string& name, const std::string& text,
               const std::string& interpreter = "/bin/sh") const {
    const fs::path path = programs_.path() / name;
    fs::create_directories(path.parent_path());
    std::ofstream{path} << "#!" << interpreter << "\n" << text;
    fs::permissions(path, fs::perms{0755});
  }

  HttpClient client() const { return HttpClient{server_->port()}; }
  Answer get(std::string_view target) const { return client().get(target); }
  Answer ask(std::string_view method, std::string_view target, std::string_view fields = {},
             std::string_view body = {}, To to = To::get) const {
    HttpClient one = client();
    one.send(std::string{method}
                 .append(" ")
                 .append(target)
                 .append(" HTTP/1.1\r\nHost: example.org:8080\r\n")
                 .append(fields)
                 .append("\r\n")
                 .append(body));
    return one.receive(to);
  }
  std::string output_of(const std::string& target) const { return get(target).body; }

  fs::path here(const std::string& name) const { return folder_.path() / name; }
  bool await_file(const std::string& name) const {
    return eventually([&] { return fs::exists(here(name)) && fs::file_size(here(name)) > 0; });
  }
  void make_fifo(const std::string& name) const {
    ASSERT_EQ(::mkfifo(here(name).c_str(), 0666), 0);
  }
  void write_into(const std::string& fifo, std::string_view text) const {
    std::ofstream{here(fifo)} << text;
  }

  TempDir folder_;  // what programs and tests tell each other
  TempDir programs_;
  std::unique_ptr<HttpServer> server_;
};

constexpr auto kPlain = "printf 'Content-Type: text/plain\\n\\n'\n";

// What has come up to now, until `part` is in it.
std::string read_until(const HttpClient& client, std::string_view part) {
  std::string all;
  std::array<char, 4096> buffer;
  while (all.find(part) == all.npos && client.readable(Deadline::in(kPatience))) {
    const ssize_t n = ::read(client.fd(), buffer.data(), buffer.size());
    if (n <= 0) break;
    all.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return all;
}

bool is_alive(const std::string& pid) {
  std::ifstream stat{"/proc/" + pid + "/stat"};
  std::string text;
  std::getline(stat, text);
  return !text.empty() && text.substr(text.rfind(')') + 2, 1) != "Z";
}

std::string first_line(const fs::path& path) {
  std::ifstream file{path};
  std::string line;
  std::getline(file, line);
  return line;
}

TEST_F(Cgi, programs_answer_instead_of_files) {
  program("hello", std::string{kPlain} + "echo hello");
  std::ofstream{server_->root() / "file"} << "a file";
  const Answer answer = get("/cgi-bin/hello");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "hello\n");
  EXPECT_EQ(answer.field("content-type"), "text/plain");
  EXPECT_EQ(answer.field("transfer-encoding"), "chunked");
  EXPECT_EQ(output_of("/file"), "a file");
  const Answer head = ask("HEAD", "/cgi-bin/hello", {}, {}, To::head);
  EXPECT_EQ(head.status, 200);
  HttpClient old = client();
  old.send("GET /cgi-bin/hello HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(read_until(old, "never").ends_with("\r\n\r\nhello\n"));
}

TEST_F(Cgi, programs_are_told_everything_of_the_request) {
  program("env", std::string{kPlain} + "echo PWD_IS $(pwd)\nenv\n");
  const std::string text =
      ask("GET", "/cgi-bin/env/a%20b/c/?x=1&y=%20",
          "X-Long-Name: one\r\nx-long-name: two\r\nCookie: a=1\r\nCookie: b=2\r\n"
          "Proxy: http://evil/\r\nAuthorization: Basic xyz\r\nX_Under: score\r\n")
          .body;
  const auto says = [&](const std::string& line) {
    EXPECT_NE(("\n" + text).find("\n" + line + "\n"), std::string::npos) << line << "\n" << text;
  };
  says("GATEWAY_INTERFACE=CGI/1.1");
  says("REQUEST_METHOD=GET");
  says("SCRIPT_NAME=/cgi-bin/env");
  says("PATH_INFO=/a b/c/");
  says("PATH_TRANSLATED=" + server_->root().string() + "/a b/c/");
  says("QUERY_STRING=x=1&y=%20");
  says("REQUEST_URI=/cgi-bin/env/a%20b/c/?x=1&y=%20");
  says("SCRIPT_FILENAME=" + (programs_.path() / "env").string());
  says("DOCUMENT_ROOT=" + server_->root().string());
  says("SERVER_NAME=example.org");
  says("SERVER_PORT=" + std::to_string(server_->port()));
  says("SERVER_PROTOCOL=HTTP/1.1");
  says("SERVER_SOFTWARE=procpool");
  says("REMOTE_ADDR=127.0.0.1");
  says("HTTP_HOST=example.org:8080");
  says("HTTP_X_LONG_NAME=one, two");
  says("HTTP_COOKIE=a=1; b=2");
  says("PWD_IS " + programs_.path().string());
  for (const char* unwanted : {"HTTP_PROXY", "HTTP_AUTHORIZATION", "HTTP_X_UNDER", "X_UNDER",
                               "CONTENT_LENGTH", "CONTENT_TYPE", "REMOTE_USER", "HOME="})
    EXPECT_EQ(text.find(unwanted), std::string::npos) << unwanted << "\n" << text;
}

TEST_F(Cgi, programs_read_the_body_and_its_true_length) {
  program("cat", std::string{kPlain} + "echo $REQUEST_METHOD $CONTENT_LENGTH $CONTENT_TYPE\ncat\n");
  EXPECT_EQ(ask("POST", "/cgi-bin/cat", "Content-Length: 3\r\nContent-Type: a/b\r\n", "abc").body,
            "POST 3 a/b\nabc");
  EXPECT_EQ(ask("POST", "/cgi-bin/cat", "Transfer-Encoding: chunked\r\n",
                "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n")
                .body,
            "POST 7\nabcdefg");
  EXPECT_EQ(ask("PUT", "/cgi-bin/cat", "Content-Length: 0\r\n").body, "PUT 0\n");
  const std::string large(1'000'000, 'l');
  EXPECT_TRUE(ask("POST", "/cgi-bin/cat", "Content-Length: 1000000\r\n", large).body ==
              "POST 1000000\n" + large);
  EXPECT_EQ(ask("POST", "/cgi-bin/cat", "Content-Length: 1048577\r\n").status, 413);
}

TEST_F(Cgi, programs_need_not_read_the_body) {
  program("deaf", std::string{kPlain} + "echo done");
  const std::string large(1'000'000, 'l');
  EXPECT_EQ(ask("POST", "/cgi-bin/deaf", "Content-Length: 1000000\r\n", large).body, "done\n");
}

TEST_F(Cgi, programs_choose_status_and_fields) {
  program("gone",
          "printf 'Status: 410 Gone\\r\\nX-A: b\\r\\nSet-Cookie: a=1\\r\\n"
          "Set-Cookie: b=2\\r\\nDate: never\\r\\nConnection: close\\r\\n\\r\\ngone'");
  HttpClient one = client();
  one.send(get_request("/cgi-bin/gone"));
  const Answer answer = one.receive();
  EXPECT_EQ(answer.status, 410);
  EXPECT_EQ(answer.body, "gone");
  EXPECT_EQ(answer.field("x-a"), "b");
  EXPECT_NE(answer.field("date"), "never");
  EXPECT_FALSE(answer.says_close());
  EXPECT_EQ(std::count(answer.fields.begin(), answer.fields.end(),
                       std::pair<std::string, std::string>{"Set-Cookie", "b=2"}),
            1);
  program("nothing", "printf 'Status: 204 No Content\\n\\n'");
  one.send(get_request("/cgi-bin/nothing"));
  EXPECT_EQ(one.receive().status, 204);
  one.send(get_request("/cgi-bin/gone"));
  EXPECT_EQ(one.receive().status, 410);
}

TEST_F(Cgi, a_length_that_a_program_gives_must_be_true) {
  program("five", "printf 'Content-Type: text/plain\\nContent-Length: 5\\n\\n12345'");
  program("short", "printf 'Content-Type: text/plain\\nContent-Length: 5\\n\\n123'");
  program("long", "printf 'Content-Type: text/plain\\nContent-Length: 5\\n\\n1234567'");
  HttpClient one = client();
  const Answer five = one.get("/cgi-bin/five");
  EXPECT_EQ(five.field("content-length"), "5");
  EXPECT_EQ(five.body, "12345");
  EXPECT_EQ(one.get("/cgi-bin/five").body, "12345");
  EXPECT_EQ(ask("HEAD", "/cgi-bin/five", {}, {}, To::head).field("content-length"), "5");
  for (const char* target : {"/cgi-bin/short", "/cgi-bin/long"}) {
    HttpClient wrong = client();
    wrong.send(get_request(target));
    EXPECT_EQ(wrong.receive_rest().end, End::cut) << target;
    EXPECT_TRUE(server_->await_error(std::string{target} + ": its body has another length"));
  }
}

TEST_F(Cgi, redirections_are_answered_by_the_client_or_by_another_resource) {
  std::ofstream{server_->root() / "file"} << "a file";
  program("away", "printf 'Location: https://example.org/x\\n\\n'");
  program("told", "printf 'Status: 303 See Other\\nLocation: /file\\n\\n'");
  program("inside", "printf 'Location: /file\\n\\n'");
  program("chain", "printf 'Location: /cgi-bin/show/more?a=b\\n\\n'");
  program("show",
          std::string{kPlain} + "echo $REQUEST_METHOD $PATH_INFO $QUERY_STRING $CONTENT_LENGTH");
  program("loop", "printf 'Location: /cgi-bin/loop\\n\\n'");
  program("lost", "printf 'Location: /nowhere\\n\\n'");
  EXPECT_EQ(get("/cgi-bin/away").status, 302);
  EXPECT_EQ(get("/cgi-bin/away").field("location"), "https://example.org/x");
  EXPECT_EQ(get("/cgi-bin/told").status, 303);
  const Answer inside = get("/cgi-bin/inside");
  EXPECT_EQ(inside.status, 200);
  EXPECT_EQ(inside.body, "a file");
  EXPECT_EQ(ask("GET", "/cgi-bin/inside", "Range: bytes=2-5\r\n").body, "file");
  EXPECT_EQ(ask("POST", "/cgi-bin/chain", "Content-Length: 2\r\n", "xy").body, "GET /more a=b\n");
  EXPECT_EQ(get("/cgi-bin/lost").status, 404);
  EXPECT_EQ(get("/cgi-bin/loop").status, 500);
}

TEST_F(Cgi, output_is_sent_as_it_comes) {
  make_fifo("gate");
  program("slow", std::string{kPlain} + "echo first\nread line < " + here("gate").string() +
                      "\necho $line\n");
  HttpClient one = client();
  one.send(get_request("/cgi-bin/slow"));
  EXPECT_NE(read_until(one, "first").find("first\n"), std::string::npos);
  write_into("gate", "second\n");
  EXPECT_NE(read_until(one, "0\r\n\r\n").find("second\n"), std::string::npos);
}

TEST_F(Cgi, errors_of_programs_are_in_the_log) {
  program("complain",
          "echo 'this is\a wrong' >&2\n" + std::string{kPlain} + "echo fine\necho 'the end' >&2");
  EXPECT_EQ(output_of("/cgi-bin/complain"), "fine\n");
  EXPECT_TRUE(server_->await_error("/complain: this is? wrong"));
  EXPECT_TRUE(server_->await_error("/complain: the end"));
  program("flood", "i=0; while [ $i -lt 5000 ]; do echo line $i >&2; i=$((i+1)); done\n" +
                       std::string{kPlain} + "echo fine");
  EXPECT_EQ(output_of("/cgi-bin/flood"), "fine\n");
  EXPECT_TRUE(server_->await_error("/flood: what it writes further is not logged"));
  EXPECT_EQ(server_->errors().find("line 200"), std::string::npos);
}

TEST_F(Cgi, a_program_that_says_rubbish_costs_one_request) {
  program("silent", "exit 3");
  program("rubbish", "echo hello");
  program("killed", "kill -SEGV $$");
  program("nph", "printf 'HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\n\\r\\n'");
  program("large",
          "printf 'Content-Type: text/plain\\nX: '; head -c 100000 /dev/zero | tr '\\0' x; printf "
          "'\\n\\n'");
  program("endless", "printf 'Content-Type: text/plain\\nX: '; yes");
  program("good", std::string{kPlain} + "echo good");
  for (const char* name : {"silent", "rubbish", "killed", "nph", "large", "endless"}) {
    EXPECT_EQ(get(std::string{"/cgi-bin/"} + name).status, 502) << name;
    EXPECT_TRUE(server_->await_error(std::string{"/"} + name + ": ")) << name;
  }
  EXPECT_TRUE(server_->await_error("killed by SIGSEGV"));
  EXPECT_TRUE(server_->await_error("NPH is not supported"));
  EXPECT_EQ(output_of("/cgi-bin/good"), "good\n");
}

TEST_F(Cgi, what_cannot_be_run_is_told_apart) {
  program("good", std::string{kPlain} + "echo good");
  program("folder/inner", std::string{kPlain} + "echo $SCRIPT_NAME $PATH_INFO");
  program("plain", "x");
  fs::permissions(programs_.path() / "plain", fs::perms{0644});
  program(".hidden", std::string{kPlain});
  program("nobody", "x", "/no/such/interpreter");
  fs::create_symlink("/bin/sh", programs_.path() / "outside");
  EXPECT_EQ(get("/cgi-bin/none").status, 404);
  EXPECT_EQ(get("/cgi-bin/folder").status, 403);
  EXPECT_EQ(get("/cgi-bin/").status, 403);
  EXPECT_EQ(get("/cgi-bin/plain").status, 403);
  EXPECT_EQ(get("/cgi-bin/.hidden").status, 404);
  EXPECT_EQ(get("/cgi-bin/outside").status, 403);
  EXPECT_EQ(get("/cgi-bin/nobody").status, 500);
  EXPECT_EQ(get("/cgi-bin/%2e%2e/cgi-bin/good").body, "good\n");
  EXPECT_EQ(get("/cgi-bin/good%00").status, 400);
  EXPECT_EQ(output_of("/cgi-bin/folder/inner/a/b"), "/cgi-bin/folder/inner /a/b\n");
}

TEST_F(Cgi, a_program_that_breaks_off_is_seen_to) {
  program("breaks", std::string{kPlain} + "echo begin\nkill -KILL $$");
  HttpClient one = client();
  one.send(get_request("/cgi-bin/breaks"));
  EXPECT_EQ(one.receive_rest().end, End::cut);
  EXPECT_TRUE(server_->await_error("killed by SIGKILL"));
}

TEST_F(Cgi, a_program_is_killed_with_its_group_when_the_client_leaves) {
  const std::string family = "sleep 1000 &\necho $! > " + here("child").string() + "\necho $$ > " +
                             here("parent").string() + "\nwait\n";
  program("before_its_head", family);
  program("within_its_body", kPlain + ("echo begin\n" + family));
  for (const std::string name : {"before_its_head", "within_its_body"}) {
    {
      HttpClient one = client();
      one.send(get_request("/cgi-bin/" + name));
      ASSERT_TRUE(await_file("child") && await_file("parent")) << name;
    }
    for (const char* member : {"parent", "child"}) {
      const std::string pid = first_line(here(member));
      EXPECT_TRUE(eventually([&] { return !is_alive(pid); })) << member << " " << name;
      fs::remove(here(member));
    }
  }
}

TEST_F(Cgi, a_request_whose_client_has_left_is_logged) {
  const fs::path log = folder_.path() / "access.log";
  start({"--access-log", log});
  program("silent", "echo $$ > " + here("parent").string() + "\nexec sleep 1000\n");
  {
    HttpClient one = client();
    one.send(get_request("/cgi-bin/silent"));
    ASSERT_TRUE(await_file("parent"));
  }
  EXPECT_TRUE(eventually([&] {
    return read_file(log).find("\"GET /cgi-bin/silent HTTP/1.1\" 499 0 ") != std::string::npos;
  })) << read_file(log);
}

TEST_F(Cgi, what_a_program_leaves_in_its_group_is_killed) {
  program("leaves", std::string{kPlain} + "sleep 1000 > /dev/null 2>&1 &\necho $!\n");
  std::string pid = output_of("/cgi-bin/leaves");
  pid.pop_back();
  EXPECT_TRUE(eventually([&] { return !is_alive(pid); }));
}

TEST_F(Cgi, a_flood_goes_no_faster_than_its_reader) {
  program("flood", std::string{kPlain} + "exec yes");
  program("good", std::string{kPlain} + "echo good");
  HttpClient one = client();
  one.send(get_request("/cgi-bin/flood"));
  EXPECT_NE(read_until(one, "y\ny\n").find("y\n"), std::string::npos);
  EXPECT_EQ(output_of("/cgi-bin/good"), "good\n");
}

TEST_F(Cgi, a_program_gets_no_descriptor_of_the_server) {
  program("descriptors", std::string{kPlain} + "exec ls /proc/self/fd");
  EXPECT_EQ(output_of("/cgi-bin/descriptors"), "0\n1\n2\n3\n");  // with the one of ls
}

TEST_F(Cgi, a_program_that_hangs_costs_its_request_and_is_killed) {
  server_.reset();
  start({"--cgi-timeout", "300ms"});
  program("hang", "echo $$ > " + here("pid").string() + "\nexec sleep 1000\n");
  program("stalls", std::string{kPlain} + "echo begin\nexec sleep 1000\n");
  program("good", std::string{kPlain} + "echo good");
  EXPECT_EQ(get("/cgi-bin/hang").status, 504);
  EXPECT_TRUE(eventually([&] { return !is_alive(first_line(here("pid"))); }));
  EXPECT_TRUE(server_->await_error("/hang\": it has written nothing for too long"));
  HttpClient one = client();
  one.send(get_request("/cgi-bin/stalls"));
  EXPECT_EQ(one.receive_rest().end, End::cut);
  EXPECT_EQ(server_->worker_pids().size(), 1u);
}

TEST_F(Cgi, no_more_programs_run_than_are_allowed) {
  server_.reset();
  start({"--cgi-programs", "2"});
  make_fifo("gate");
  program("wait", std::string{kPlain} + "echo begin\nread line < " + here("gate").string() +
                      "\necho $line\n");
  program("good", std::string{kPlain} + "echo good");
  HttpClient one = client();
  HttpClient two = client();
  for (HttpClient* each : {&one, &two}) {
    each->send(get_request("/cgi-bin/wait"));
    EXPECT_NE(read_until(*each, "begin").find("begin"), std::string::npos);
  }
  const Answer refused = get("/cgi-bin/good");
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.field("retry-after"), "1");
  write_into("gate", "go\n");
  EXPECT_TRUE(eventually([&] { return get("/cgi-bin/good").status == 200; }));
}

TEST_F(Cgi, settings_of_the_path_are_for_programs_too) {
  server_.reset();
  std::ofstream{here("users")} << "ada:" << models::hash_password("secret") << "\n";
  start({}, "users = \"" + here("users").string() + "\"\nheaders = [\"X-Site: cgi\"]\n");
  program("who", std::string{kPlain} + "echo $AUTH_TYPE $REMOTE_USER $HTTP_AUTHORIZATION");
  const Answer refused = get("/cgi-bin/who");
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.field("x-site"), "cgi");
  const Answer answer = ask("GET", "/cgi-bin/who", "Authorization: Basic YWRhOnNlY3JldA==\r\n");
  EXPECT_EQ(answer.body, "Basic ada\n");
  EXPECT_EQ(answer.field("x-site"), "cgi");
}

TEST_F(Cgi, programs_may_be_the_whole_site) {
  server_.reset();
  start({"--cgi", programs_.path()});
  program("hello", std::string{kPlain} + "echo $SCRIPT_NAME $PATH_INFO");
  EXPECT_EQ(output_of("/hello/a"), "/hello /a\n");
  EXPECT_EQ(get("/").status, 403);
}

TEST_F(Cgi, programs_end_with_their_server) {
  program("family", std::string{kPlain} + "echo $$ > " + here("parent").string() +
                        "\necho begin\nsleep 1000\n");
  HttpClient one = client();
  one.send(get_request("/cgi-bin/family"));
  EXPECT_NE(read_until(one, "begin").find("begin"), std::string::npos);
  EXPECT_EQ(server_->stop(SIGINT), proc::ExitStatus::exited(0));
  EXPECT_FALSE(is_alive(first_line(here("parent"))));
}

TEST(CgiOptions, are_refused_when_they_are_wrong) {
  const HttpdRun none = run_httpd({"--cgi", "/no/such/folder", "--check"});
  EXPECT_EQ(none.status, proc::ExitStatus::exited(2));
  EXPECT_NE(none.errors.find("--cgi\": open \"/no/such/folder\": No such file"), std::string::npos)
      << none.errors;
  EXPECT_EQ(run_httpd({"--cgi-programs", "0", "--check"}).status, proc::ExitStatus::exited(2));
  EXPECT_EQ(run_httpd({"--cgi-timeout", "soon", "--check"}).status, proc::ExitStatus::exited(2));
}

}  // namespace
}  // namespace procpool::test
