// Files as clients get them: what is served, what is not, and what happens while they change.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <regex>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "ipc/base/deadline.hpp"
#include "ipc/base/error.hpp"
#include "ipc/base/unique_fd.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/http_server.hpp"

namespace procpool::test {
namespace {

namespace fs = std::filesystem;

// Another byte at every place: a piece that is missing or served twice shows.
std::string content(std::size_t size, std::size_t seed = 0) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) {
    text[i] = static_cast<char>((i + seed) * 2654435761u >> 13);
  }
  return text;
}

void write_file(const fs::path& path, std::string_view text) {
  fs::create_directories(path.parent_path());
  std::ofstream{path, std::ios::binary} << text;
}

class Files : public testing::Test {
 protected:
  void start(HttpServerSetup setup = {}) {
    setup.arguments.insert(setup.arguments.end(), {"--workers", "1"});
    server_ = std::make_unique<HttpServer>(std::move(setup));
    client_ = std::make_unique<HttpClient>(server_->port());
  }
  void SetUp() override { start(); }

  fs::path path(std::string_view name) const { return server_->root() / name; }
  void write(std::string_view name, std::string_view text) const { write_file(path(name), text); }
  Answer get(std::string_view target) const { return client_->get(target); }
  int status_of(std::string_view target) const { return get(target).status; }

  // A changed file is served after a second at most.
  bool becomes(std::string_view target, const std::string& body) const {
    return eventually([&] { return get(target).body == body; });
  }

  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<HttpClient> client_;
};

// --- contents ---

TEST_F(Files, of_all_sizes_arrive_unchanged) {
  for (const std::size_t size :
       {0u, 1u, 1023u, 1024u, 4096u, 32'767u, 32'768u, 32'769u, 65'535u, 65'536u, 65'537u,
        1'000'000u, 1'048'576u, 1'048'577u, 8'388'608u}) {
    const std::string name = std::to_string(size);
    write(name, content(size, size));
    for (int round = 0; round < 2; ++round) {  // as it is, and out of the cache
      const Answer answer = get("/" + name);
      ASSERT_EQ(answer.status, 200) << name;
      ASSERT_TRUE(answer.body == content(size, size)) << name;
    }
  }
}

TEST_F(Files, have_types_by_their_names) {
  const std::pair<const char*, const char*> types[] = {{"a.html", "text/html; charset=utf-8"},
                                                       {"A.HTML", "text/html; charset=utf-8"},
                                                       {"a.txt", "text/plain; charset=utf-8"},
                                                       {"a.css", "text/css; charset=utf-8"},
                                                       {"a.json", "application/json"},
                                                       {"a.svg", "image/svg+xml"},
                                                       {"a.png", "image/png"},
                                                       {"a.jpg", "image/jpeg"},
                                                       {"a.pdf", "application/pdf"},
                                                       {"a.wasm", "application/wasm"},
                                                       {"a.tar.gz", "application/gzip"},
                                                       {"README", "application/octet-stream"},
                                                       {"a.b/README", "application/octet-stream"}};
  for (const auto& [name, type] : types) {
    write(name, "x");
    EXPECT_EQ(get(std::string{"/"} + name).field("content-type"), type) << name;
  }
}

TEST_F(Files, have_fields_in_the_forms_of_the_RFCs) {
  write("file", "text");
  const Answer answer = get("/file");
  const std::regex date{
      "(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-3][0-9] "
      "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [0-9]{4} [0-2][0-9]:[0-5][0-9]:[0-6][0-9] "
      "GMT"};
  EXPECT_TRUE(std::regex_match(answer.field("date").value_or(""), date));
  EXPECT_TRUE(std::regex_match(answer.field("last-modified").value_or(""), date));
  EXPECT_TRUE(std::regex_match(answer.field("etag").value_or(""), std::regex{"\"[!#-~]+\""}));
  EXPECT_EQ(answer.field("content-length"), "4");
  EXPECT_EQ(answer.field("server"), "procpool");
}

TEST_F(Files, tell_when_they_were_modified) {
  write("file", "text");
  const timespec times[] = {{784111777, 0}, {784111777, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path("file").c_str(), times, 0), 0);
  EXPECT_EQ(get("/file").field("last-modified"), "Sun, 06 Nov 1994 08:49:37 GMT");
}

TEST_F(Files, from_the_future_were_modified_now) {  // RFC 9110 section 8.8.2.1
  write("file", "text");
  const timespec times[] = {{4'000'000'000, 0}, {4'000'000'000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path("file").c_str(), times, 0), 0);
  const Answer answer = get("/file");
  EXPECT_EQ(answer.field("last-modified"), answer.field("date"));
}

// --- names ---

TEST_F(Files, are_found_by_escaped_names) {
  write("a b", "space");
  write("\xc3\xa4", "umlaut");
  write("100%", "percent");
  write("a+b", "plus");
  write("q?", "mark");
  EXPECT_EQ(get("/a%20b").body, "space");
  EXPECT_EQ(get("/%C3%a4").body, "umlaut");
  EXPECT_EQ(get("/\xc3\xa4").body, "umlaut");
  EXPECT_EQ(get("/100%25").body, "percent");
  EXPECT_EQ(get("/a+b").body, "plus");
  EXPECT_EQ(get("/q%3f?query").body, "mark");
}

TEST_F(Files, are_found_through_dots_and_double_slashes) {
  write("d/file", "text");
  for (const std::string_view target :
       {"/d/file", "//d/file", "/d//file", "/./d/./file", "/x/../d/file", "/d/%2e/file",
        "/../../d/file", "/%2e%2e/d/file", "///d/x/..//file"}) {
    EXPECT_EQ(get(target).body, "text") << target;
  }
}

TEST_F(Files, are_not_found_where_they_are_not) {
  write("d/file", "text");
  for (const std::string_view target : {"/none", "/d/none", "/none/file", "/d/file/", "/d/file/x",
                                        "/d%2ffile", "/d/file%00", "/D/file", "/d/file%20"}) {
    const int status = status_of(target);
    EXPECT_TRUE(status == 404 || (status == 400 && target.ends_with("%00"))) << target << status;
  }
  EXPECT_EQ(status_of("/" + std::string(300, 'x')), 404);
  EXPECT_EQ(status_of("/" + std::string(3000, 'x') + "/" + std::string(3000, 'x')), 404);
}

TEST_F(Files, named_index_stand_for_their_directories) {
  write("index.html", "root");
  write("d/index.html", "d");
  EXPECT_EQ(get("/").body, "root");
  EXPECT_EQ(get("/?query").body, "root");
  EXPECT_EQ(get("/d/").body, "d");
  EXPECT_EQ(get("/d/.").body, "d");
  EXPECT_EQ(get("/d/x/..").body, "d");
  EXPECT_EQ(get("/d/").field("content-type"), "text/html; charset=utf-8");
}

TEST_F(Files, that_are_directories_are_redirected_to_their_slash) {
  write("d/e f/index.html", "e f");
  const std::pair<std::string_view, std::string_view> redirections[] = {
      {"/d", "/d/"},
      {"/d?a=b&c", "/d/?a=b&c"},
      {"//d", "/d/"},  // "//d/" would be another host
      {"/d/e%20f", "/d/e%20f/"},
      {"/x/../d", "/d/"},
  };
  for (const auto& [target, location] : redirections) {
    const Answer answer = get(target);
    EXPECT_EQ(answer.status, 301) << target;
    EXPECT_EQ(answer.field("location"), location) << target;
  }
}

TEST_F(Files, in_a_directory_are_not_listed) {
  fs::create_directory(path("empty"));
  EXPECT_EQ(status_of("/"), 403);
  EXPECT_EQ(status_of("/empty/"), 403);
}

// --- what is no business of a client ---

TEST_F(Files, outside_the_root_are_not_reached) {
  write_file(server_->folder() / "secret", "secret");
  for (const std::string_view target :
       {"/../secret", "/%2e%2e/secret", "/%2e./secret", "/..%2fsecret", "/..%c0%afsecret",
        "/..%5csecret", "/x/../../secret", "//../secret", "/.../secret", "/..;/secret"}) {
    const Answer answer = get(target);
    EXPECT_EQ(answer.status, 404) << target;
    EXPECT_EQ(answer.body.find("secret\n"), std::string::npos);
  }
}

TEST_F(Files, are_reached_by_links_that_stay_in_the_root) {
  write("d/file", "text");
  fs::create_symlink("d/file", path("link"));
  fs::create_directory_symlink("../d", path("d/loop"));
  fs::create_directory_symlink("d", path("folder"));
  EXPECT_EQ(get("/link").body, "text");
  EXPECT_EQ(get("/folder/file").body, "text");
  EXPECT_EQ(get("/folder/loop/file").body, "text");
}

TEST_F(Files, are_not_reached_by_links_that_leave_the_root) {
  write_file(server_->folder() / "secret", "secret");
  write("file", "text");
  fs::create_symlink("../secret", path("up"));
  fs::create_symlink(server_->folder() / "secret", path("absolute"));
  fs::create_symlink(path("file"), path("absolute_inside"));
  fs::create_directory_symlink("..", path("parent"));
  fs::create_symlink("/proc/self/root", path("magic"));
  fs::create_symlink("circle", path("circle"));
  for (const std::string_view target : {"/up", "/absolute", "/absolute_inside", "/parent/secret",
                                        "/parent/", "/magic/etc/passwd", "/circle"}) {
    EXPECT_EQ(status_of(target), 403) << target;
  }
  fs::create_symlink("nowhere", path("broken"));
  EXPECT_EQ(status_of("/broken"), 404);
}

TEST_F(Files, that_begin_with_a_dot_are_not_found) {
  write(".secret", "secret");
  write(".git/config", "secret");
  write("d/.secret", "secret");
  write(".well-known/file", "known");
  write(".well-known/.secret", "secret");
  for (const std::string_view target : {"/.secret", "/%2esecret", "/.git/config", "/.git", "/.git/",
                                        "/d/.secret", "/./d/.secret", "/.well-known/.secret"}) {
    EXPECT_EQ(status_of(target), 404) << target;
  }
  EXPECT_EQ(get("/.well-known/file").body, "known");
}

TEST_F(Files, that_begin_with_a_dot_are_found_if_wanted) {
  start({.arguments = {"--dot-files", "on"}});
  write("d/.secret", "no secret");
  EXPECT_EQ(get("/d/.secret").body, "no secret");
}

TEST_F(Files, are_not_reached_by_any_link_if_unwanted) {
  start({.arguments = {"--symlinks", "off"}});
  write("d/file", "text");
  fs::create_symlink("d/file", path("link"));
  fs::create_directory_symlink("d", path("folder"));
  EXPECT_EQ(get("/d/file").body, "text");
  EXPECT_EQ(status_of("/link"), 403);
  EXPECT_EQ(status_of("/folder/file"), 403);
}

TEST_F(Files, that_are_no_files_are_refused_without_waiting) {
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0666), 0);
  const UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path("socket").string().copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(socket.fd(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(status_of("/fifo"), 403);
  EXPECT_EQ(status_of("/socket"), 403);
  if (::mknod(path("null").c_str(), S_IFCHR | 0666, makedev(1, 3)) == 0) {
    EXPECT_EQ(status_of("/null"), 403);
  }
}

TEST_F(Files, that_the_worker_may_not_read_are_forbidden) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be somebody else";
  start({.arguments = {"--user", "nobody"}});
  write("open/file", "text");
  write("closed/file", "text");
  write("secret", "secret");
  fs::permissions(path("closed"), fs::perms{0700});
  fs::permissions(path("secret"), fs::perms{0600});
  EXPECT_EQ(status_of("/open/file"), 200);
  EXPECT_EQ(status_of("/closed/file"), 403);
  EXPECT_EQ(status_of("/closed/none"), 403);
  EXPECT_EQ(status_of("/secret"), 403);
}

// --- changes ---

TEST_F(Files, are_served_anew_when_they_were_changed) {
  for (const std::size_t size : {100u, 100'000u}) {  // from memory, and from the file
    write("file", content(size, 1));
    EXPECT_TRUE(becomes("/file", content(size, 1)));
    const auto etag = get("/file").field("etag");
    write("file", content(size, 2));
    EXPECT_TRUE(becomes("/file", content(size, 2)));
    EXPECT_NE(get("/file").field("etag"), etag);
  }
}

TEST_F(Files, are_served_anew_when_they_were_replaced) {
  for (const std::size_t size : {100u, 100'000u}) {
    write("file", content(size, 1));
    EXPECT_TRUE(becomes("/file", content(size, 1)));
    const auto etag = get("/file").field("etag");
    write("new", content(size, 2));
    fs::last_write_time(path("new"), fs::last_write_time(path("file")));
    fs::rename(path("new"), path("file"));
    EXPECT_TRUE(becomes("/file", content(size, 2)));
    EXPECT_NE(get("/file").field("etag"), etag);
  }
}

TEST_F(Files, are_gone_when_they_were_removed_and_back_when_they_are_back) {
  write("file", "text");
  EXPECT_EQ(status_of("/file"), 200);
  fs::remove(path("file"));
  EXPECT_TRUE(eventually([&] { return status_of("/file") == 404; }));
  write("file", "again");
  EXPECT_EQ(get("/file").body, "again");
  fs::remove(path("file"));
  fs::create_directory(path("file"));
  EXPECT_TRUE(eventually([&] { return status_of("/file") == 301; }));
}

// Starts to receive an answer of a file that is too large for any buffer between the two.
class Unread {
 public:
  explicit Unread(std::uint16_t port) : client_{port} {
    client_.send(get_request("/file", "Connection: close\r\n"));
    EXPECT_TRUE(client_.readable(Deadline::in(kPatience)));
  }
  Received receive() { return client_.receive_rest(); }

 private:
  HttpClient client_;
};

constexpr std::size_t kLarge = std::size_t{32} << 20;

TEST_F(Files, that_are_replaced_while_they_are_sent_arrive_as_they_were) {
  write("file", content(kLarge, 1));
  Unread unread{server_->port()};
  write("new", content(kLarge, 2));
  fs::rename(path("new"), path("file"));
  const Received received = unread.receive();
  ASSERT_EQ(received.end, End::closed);
  EXPECT_TRUE(received.answers.at(0).body == content(kLarge, 1));
}

TEST_F(Files, that_are_removed_while_they_are_sent_arrive_as_they_were) {
  write("file", content(kLarge));
  Unread unread{server_->port()};
  fs::remove(path("file"));
  const Received received = unread.receive();
  ASSERT_EQ(received.end, End::closed);
  EXPECT_TRUE(received.answers.at(0).body == content(kLarge));
}

TEST_F(Files, that_shrink_while_they_are_sent_are_cut_and_never_filled_up) {
  write("file", content(kLarge));
  Unread unread{server_->port()};
  fs::resize_file(path("file"), 1000);
  const Received received = unread.receive();
  EXPECT_TRUE(received.answers.empty());
  EXPECT_EQ(received.end, End::cut);
  EXPECT_TRUE(HttpClient{server_->port()}.get("/file").body == content(1000));
}

TEST_F(Files, that_grow_while_they_are_sent_end_where_was_announced) {
  write("file", content(kLarge));
  Unread unread{server_->port()};
  fs::resize_file(path("file"), 2 * kLarge);
  const Received received = unread.receive();
  ASSERT_EQ(received.end, End::closed);
  EXPECT_TRUE(received.answers.at(0).body == content(kLarge));
}

// The bytes of large files are sent from the file, the head is kept: they must belong together.
TEST_F(Files, that_change_all_the_time_never_have_another_ones_length) {
  for (std::size_t size = 100'000; size < 100'050; ++size) {
    write("file", content(size));
    const Answer answer = get("/file");
    ASSERT_EQ(answer.status, 200);
    ASSERT_TRUE(answer.body == content(size)) << answer.body.size() << " instead of " << size;
  }
}

// --- many, by other people's clients ---

// A tree of over a thousand files; the largest has `largest` bytes.
void grow_tree(const fs::path& root, std::size_t largest) {
  constexpr int kFolders = 32;
  constexpr int kFilesInEach = 33;
  std::string index;
  std::size_t number = 0;
  for (int folder = 0; folder < kFolders; ++folder) {
    for (int file = 0; file < kFilesInEach; ++file, ++number) {
      const std::string name =
          "folder " + std::to_string(folder) + "/f\xc3\xbcnf+" + std::to_string(file) + ".bin";
      // 0, 1, 3, 7 ... bytes and something: each power of two has its files.
      const std::size_t size = ((std::size_t{1} << (number % 18)) - 1) * (1 + number % 3);
      write_file(root / name, content(size, number));
      index += name + "\n";
    }
  }
  write_file(root / "largest.bin", content(largest, number));
  write_file(root / "index.txt", index + "largest.bin\n");
}

constexpr auto kFetchWithCurl = R"sh(
  sed "h; s| |%20|g; s|.*|url = \"$2&\"|; p; x; s|.*|output = \"&\"|" "$1/index.txt" >requests
  curl --silent --show-error --fail --noproxy '*' --create-dirs --config requests)sh";

constexpr auto kFetchWithWget = R"sh(
  sed "s| |%20|g; s|^|$2|" "$1/index.txt" >requests
  wget --quiet --no-proxy --no-iri --force-directories --no-host-directories --input-file requests)sh";

constexpr auto kCompare = R"sh(
  cp "$1/index.txt" .
  (cd "$1" && find . -type f -print0 | xargs -0 sha256sum) >sums
  test "$(wc -l <sums)" -gt 1000
  sha256sum --quiet --strict --check sums)sh";

void expect_same_tree(const std::string& fetch) {
  const HttpServer server;
  grow_tree(server.root(), std::size_t{100} << 20);
  const fs::path copy = server.folder() / "copy";
  fs::create_directory(copy);
  const std::string script = "set -e\n" + fetch + "\n" + kCompare;
  const HttpdRun run = run_program({"sh", "-c", script, "sh", server.root(), server.urls().at(0)},
                                   {.working_directory = copy});
  EXPECT_TRUE(run.status.success()) << run.status.text() << "\n" << run.output << run.errors;
}

TEST(Tree, of_a_thousand_files_arrives_unchanged_with_curl) {
  expect_same_tree(kFetchWithCurl);
}

TEST(Tree, of_a_thousand_files_arrives_unchanged_with_wget) {
  expect_same_tree(kFetchWithWget);
}

}  // namespace
}  // namespace procpool::test
