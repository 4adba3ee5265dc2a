#include "servers/http/options.hpp"

#include <chrono>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "servers/models/sandbox.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::http {
namespace {

using namespace std::chrono_literals;

CommandLine parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "procpool-httpd");
  return parse_command_line(static_cast<int>(arguments.size()), arguments.data());
}

Options options_of(const std::vector<const char*>& arguments) {
  Options options;
  apply(parse(arguments), options);
  return options;
}

// What the OptionsError of a call says; empty when there is none.
template <typename Call>
std::string complaint(Call&& call) {
  try {
    call();
  } catch (const OptionsError& error) {
    return error.what();
  }
  return {};
}

class OptionsFile : public testing::Test {
 protected:
  std::string write(std::string_view text) const {
    std::string path = dir_.path() / "site.toml";
    std::ofstream{path} << text;
    return path;
  }

  Options load(std::string_view text) const {
    Options options;
    load_config(write(text), options);
    return options;
  }

  std::string complaint_about(std::string_view text) const {
    return complaint([&] { load(text); });
  }

  test::TempDir dir_;
};

TEST(CommandLineOptions, are_the_defaults_when_nothing_is_given) {
  EXPECT_EQ(options_of({}), Options{});
  EXPECT_EQ(Options{}.listen, std::vector<std::string>{"127.0.0.1:8080"});
}

// No member as it is by default, but for what only a file has.
Options everything() {
  Options options;
  options.workers = 4;
  options.listen = {"127.0.0.1:0", "[::1]:80", "unix:/run/x"};
  options.site = {.root = "/srv",
                  .gzip = false,
                  .precompressed = true,
                  .listing = true,
                  .dot_files = true,
                  .symlinks = false,
                  .writable = true,
                  .headers = {"X: 1", "Y: 2"},
                  .cache_control = "no-cache",
                  .error_pages = {{404, "errors/404.html"}},
                  .redirect = Redirection{Status::permanent_redirect, "/x"},
                  .realm = "cave"};
  options.pid_file = "/run/p";
  options.access_log = "-";
  options.access_log_format = AccessFormat::json;
  options.error_log = "/var/e";
  options.user = "www-data";
  options.group = "adm";
  options.seccomp = false;
  options.graceful_timeout = 5s;
  options.header_timeout = 500ms;
  options.idle_timeout = 2500ms;
  options.send_timeout = 250ms;
  options.timeout = 20s;
  options.max_requests = 1000;
  options.max_requests_jitter = 50;
  options.max_rss = 64 << 20;
  options.accept = models::AcceptStrategy::reuseport;
  options.defer_accept = true;
  options.min_workers = 2;
  options.max_workers = 8;
  options.cpu_affinity = models::CpuList{0, 2, 3};
  options.max_rss_hard = std::uint64_t{1} << 30;
  options.max_body = 0;
  options.max_connections = 17;
  return options;
}

TEST(CommandLineOptions, set_everything) {
  EXPECT_EQ(options_of({"--workers=4",
                        "--accept=reuseport",
                        "--defer-accept=on",
                        "--min-workers=2",
                        "--max-workers=8",
                        "--cpu-affinity=0,2-3",
                        "--listen",
                        "127.0.0.1:0",
                        "--listen=[::1]:80",
                        "--listen",
                        "unix:/run/x",
                        "--root",
                        "/srv",
                        "--gzip=off",
                        "--precompressed",
                        "on",
                        "--listing=on",
                        "--dot-files=on",
                        "--symlinks=off",
                        "--writable=on",
                        "--headers=X: 1",
                        "--headers=Y: 2",
                        "--cache-control=no-cache",
                        "--error-pages=404 /errors/404.html",
                        "--redirect=308 /x",
                        "--realm=cave",
                        "--pid-file=/run/p",
                        "--access-log",
                        "-",
                        "--access-log-format=json",
                        "--error-log=/var/e",
                        "--user=www-data",
                        "--group=adm",
                        "--seccomp=off",
                        "--graceful-timeout=5",
                        "--header-timeout=500ms",
                        "--idle-timeout=2.5s",
                        "--send-timeout=0.25",
                        "--timeout=20",
                        "--max-requests=1000",
                        "--max-requests-jitter=50",
                        "--max-rss=64M",
                        "--max-rss-hard=1G",
                        "--max-body=0",
                        "--max-connections=17"}),
            everything());
}

TEST(CommandLineOptions, that_are_repeated_end_as_the_last) {
  EXPECT_EQ(options_of({"--workers", "4", "--workers", "auto"}).workers, 0u);
  EXPECT_EQ(options_of({"--root", "a", "--root", "b"}).site.root, "b");
}

TEST(CommandLineOptions, say_what_to_do) {
  EXPECT_EQ(parse({}).action, CommandLine::Action::run);
  EXPECT_EQ(parse({"--check"}).action, CommandLine::Action::check);
  EXPECT_EQ(parse({"--config", "x.toml"}).config, "x.toml");

  const CommandLine help = parse({"--help"});
  EXPECT_EQ(help.action, CommandLine::Action::show);
  for (const std::string_view flag : {"--workers", "--listen", "--config", "--graceful-timeout"}) {
    EXPECT_NE(help.text.find(flag), help.text.npos) << flag;
  }
  EXPECT_TRUE(parse({"--version"}).text.starts_with("procpool-httpd "));
}

TEST(CommandLineOptions, that_are_wrong_are_named) {
  const auto complaint_about = [](std::vector<const char*> arguments) {
    return complaint([&] { parse(arguments); });
  };
  EXPECT_EQ(complaint_about({"--wrokers", "4"}),
            "option \"--wrokers\": unknown option; is \"--workers\" meant?");
  EXPECT_EQ(complaint_about({"--chekc"}),
            "option \"--chekc\": unknown option; is \"--check\" meant?");
  EXPECT_EQ(complaint_about({"--idletimeout=4"}),
            "option \"--idletimeout\": unknown option; is \"--idle-timeout\" meant?");
  EXPECT_EQ(complaint_about({"reload", "--pid-file", "f", "--pidfile"}),
            "option \"--pidfile\": unknown option; is \"--pid-file\" meant?");
  EXPECT_EQ(complaint_about({"--colour"}), "option \"--colour\": unknown option");
  EXPECT_EQ(complaint_about({"relaod"}),
            "command \"relaod\": unknown command; is \"reload\" meant?");
  EXPECT_EQ(complaint_about({"stray"}), "command \"stray\": unknown command");
  EXPECT_NE(complaint_about({"--root"}).find("--root"), std::string::npos);
  EXPECT_NE(complaint_about({"--workers", "0"}).find("--workers"), std::string::npos);
  for (const char* workers : {"0", "-1", "1025", "4x", "", "1.5", "AUTO"}) {
    EXPECT_NE(complaint_about({"--workers", workers}), "") << workers;
  }
  for (const char* time :
       {"0", "-1", "5m", "s", "inf", "nan", "1e3", "86401", "", "5 s", "0.0001"}) {
    EXPECT_NE(complaint_about({"--idle-timeout", time}), "") << time;
  }
  for (const char* size : {"-1", "1.5M", "M", "1T", "1 M", "", "2000000G"}) {
    EXPECT_NE(complaint_about({"--max-rss", size}), "") << size;
  }
  for (const char* cpus : {"", "a", "1-", "-1", "3-1", "0,,1", "0;1", "99999999"}) {
    EXPECT_NE(complaint_about({"--cpu-affinity", cpus}).find("must be auto, off, or numbers"),
              std::string::npos)
        << cpus;
  }
  for (const char* workers : {"0", "257", "auto"}) {
    EXPECT_NE(complaint_about({"--min-workers", workers}), "") << workers;
    EXPECT_NE(complaint_about({"--max-workers", workers}), "") << workers;
  }
  EXPECT_NE(complaint_about({"--accept", "mutex"})
                .find("must be shared, reuseport, lock, file-lock or pass, not \"mutex\""),
            std::string::npos);
  for (const char* address :
       {"nonsense", "127.0.0.1", "127.0.0.1:65536", "256.0.0.1:80", "unix:"}) {
    EXPECT_NE(complaint_about({"--listen", address}).find("--listen"), std::string::npos)
        << address;
  }
}

TEST_F(OptionsFile, has_a_key_for_every_flag) {
  EXPECT_EQ(load(R"(
workers = 4
accept = "reuseport"
defer-accept = true
min-workers = 2
max-workers = 8
cpu-affinity = "0,2-3"
listen = ["127.0.0.1:0", "[::1]:80", "unix:/run/x"]
root = "/srv"
gzip = false
precompressed = "on"
listing = true
dot-files = true
symlinks = "off"
writable = true
headers = ["X: 1", "Y: 2"]
cache-control = "no-cache"
error-pages = ["404 /errors/404.html"]
redirect = "308 /x"
realm = "cave"
pid-file = "/run/p"
access-log = "-"
access-log-format = "json"
error-log = "/var/e"
user = "www-data"
group = "adm"
seccomp = false
graceful-timeout = 5
header-timeout = "500ms"
idle-timeout = 2.5
send-timeout = "0.25s"
timeout = "20s"
max-requests = 1000
max-requests-jitter = 50
max-rss = "65536K"
max-rss-hard = "1G"
max-body = 0
max-connections = 17
)"),
            everything());
  EXPECT_EQ(load("workers = \"auto\"").workers, 0u);
  EXPECT_EQ(load("timeout = \"off\"").timeout, 0s);
  EXPECT_EQ(load(""), Options{});
}

TEST_F(OptionsFile, is_refused_when_its_numbers_of_workers_contradict_each_other) {
  const std::string path = dir_.path() / "site.toml";
  const auto says = [&](std::string_view text, const std::string& complaint_about_it) {
    std::ofstream{path} << text;
    EXPECT_EQ(complaint([&] { load_options(parse({"--config", path.c_str()})); }),
              path + complaint_about_it);
  };
  says("min-workers = 3\nmax-workers = 2\n",
       ":1:15 \"min-workers\": must not be more than max-workers");
  says("workers = 2\nmin-workers = 3\n", ":2:15 \"min-workers\": must not be more than workers");
  says("workers = 4\nmax-workers = 3\n", ":2:15 \"max-workers\": must not be less than workers");
  says("cpu-affinity = \"0,8191\"\n",
       ":1:16 \"cpu-affinity\": has CPU 8191, on which this process may not run");
}

TEST_F(OptionsFile, has_a_sandbox_unless_programs_run) {
  const bool available = models::sandbox_is_available();
  EXPECT_EQ(has_sandbox(load("")), available);
  EXPECT_FALSE(has_sandbox(load("seccomp = false")));
  EXPECT_FALSE(has_sandbox(load("[[path]]\nprefix = \"/cgi\"\ncgi = \"/\"")));
  EXPECT_FALSE(has_sandbox(load("[[host]]\nnames = [\"a\"]\ncgi = \"/\"")));
  const std::string path = write("cgi = \"/\"\nseccomp = true\n");
  const std::string complaint_about_it =
      complaint([&] { load_options(parse({"--config", path.c_str()})); });
  EXPECT_TRUE(complaint_about_it.starts_with(path + ":2:11 \"seccomp\": ")) << complaint_about_it;
}

TEST_F(OptionsFile, has_hosts_and_paths_that_begin_with_what_is_around_them) {
  const Options options = load(R"(
root = "/top"
gzip = false
[[path]]
prefix = "//a/%62/"
listing = true
[[path]]
suffix = ".html"
[[host]]
names = ["Example.org", "*.example.org"]
root = "/host"
cache-control = "no-cache"
[[host.path]]
prefix = "/p"
gzip = true
[[host]]
names = ["other.org"]
)");
  const SiteSettings top{.root = "/top", .gzip = false};
  EXPECT_EQ(options.site, top);
  SiteSettings path = top;
  path.listing = true;
  EXPECT_EQ(options.paths,
            (std::vector<PathSettings>{{.prefix = "/a/b", .site = path},
                                       {.prefix = "/", .suffix = ".html", .site = top}}));
  SiteSettings host = top;
  host.root = "/host";
  host.cache_control = "no-cache";
  SiteSettings host_path = host;
  host_path.gzip = true;
  EXPECT_EQ(options.hosts,
            (std::vector<HostSettings>{{.names = {"Example.org", "*.example.org"},
                                        .site = host,
                                        .paths = {{.prefix = "/p", .site = host_path}}},
                                       {.names = {"other.org"}, .site = top, .paths = {}}}));
}

TEST_F(OptionsFile, lets_the_command_line_win_before_hosts_and_paths_begin) {
  const std::string path = dir_.path() / "site.toml";
  std::ofstream{path} << "gzip = true\nroot = \"/\"\n[[path]]\nprefix = \"/p\"\n"
                         "[[path]]\nprefix = \"/q\"\ngzip = true\n";
  const Options options = load_options(parse({"--config", path.c_str(), "--gzip", "off"}));
  EXPECT_FALSE(options.site.gzip);
  EXPECT_FALSE(options.paths.at(0).site.gzip);
  EXPECT_TRUE(options.paths.at(1).site.gzip);
}

TEST_F(OptionsFile, with_an_unknown_key_is_told_which_may_be_meant) {
  const auto says = [&](std::string_view text, std::string_view end) {
    const std::string complaint = complaint_about(text);
    EXPECT_TRUE(complaint.ends_with(end)) << complaint;
  };
  says("wrokers = 4", "unknown key; is \"workers\" meant?");
  says("gzpi = true", "unknown key; is \"gzip\" meant?");
  says("idle_timeout = 4", "unknown key; is \"idle-timeout\" meant?");
  says("hosts = 4", "unknown key; is \"host\" meant?");
  says("[[path]]\nprefix = \"/\"\nredirects = \"\"", "unknown key; is \"redirect\" meant?");
  says("[[host]]\nname = [\"a\"]", "unknown key; is \"names\" meant?");
  says("colour = 4", "unknown key");
  says("[[path]]\nworkers = 4", "unknown key");
}

TEST_F(OptionsFile, with_wrong_hosts_or_paths_is_named_with_line_and_key) {
  const std::string where = dir_.path() / "site.toml";
  const auto expect_complaint = [&](std::string_view text, const std::string& begin) {
    EXPECT_EQ(complaint_about(text).substr(0, begin.size()), begin) << text;
  };
  expect_complaint("path = 5", where + ":1:1 \"path\": must be tables");
  expect_complaint("[host]\nnames = [\"a\"]", where + ":1:2 \"host\": must be tables");
  expect_complaint("[[path]]\nroot = \"/\"", where + ":1:1 \"path\": needs a prefix or a suffix");
  expect_complaint("[[path]]\nprefix = \"a\"", where + ":2:10 \"prefix\": must be a path");
  expect_complaint("[[path]]\nprefix = \"/%zz\"", where + ":2:10 \"prefix\": must be a path");
  expect_complaint("[[path]]\nprefix = 1", where + ":2:10 \"prefix\": must be a path");
  expect_complaint("[[path]]\nsuffix = \"*.html\"", where + ":2:10 \"suffix\": must be the end");
  expect_complaint("[[path]]\nsuffix = \"\"", where + ":2:10 \"suffix\": must be the end");
  expect_complaint("[[path]]\nsuffix = 1", where + ":2:10 \"suffix\": must be the end");
  expect_complaint("[[path]]\nprefix = \"/a\"\nworkers = 4",
                   where + ":3:1 \"workers\": unknown key");
  expect_complaint("[[host]]\nroot = \"/\"", where + ":1:1 \"host\": needs names");
  expect_complaint("[[host]]\nnames = \"a\"", where + ":2:9 \"names\": must be an array");
  expect_complaint("[[host]]\nnames = [\"a*b\"]", where + ":2:9 \"names\": must be names");
  expect_complaint("[[host]]\nnames = [\"*.\"]", where + ":2:9 \"names\": must be names");
  expect_complaint("[[host]]\nnames = [\"a\", \"A.\"]",
                   where + ":2:9 \"names\": has \"a\" a second");
  expect_complaint("headers = [\"X\"]", where + ":1:11 \"headers\": must be");
  expect_complaint("headers = [\"X: a\\r\\nY: b\"]", where + ":1:11 \"headers\": must be");
  expect_complaint("headers = [\"Content-Length: 5\"]", where + ":1:11 \"headers\": must leave");
  expect_complaint("error-pages = [\"200 /x\"]", where + ":1:15 \"error-pages\": must be");
  expect_complaint("error-pages = [\"404 x\"]", where + ":1:15 \"error-pages\": must be");
  expect_complaint("redirect = \"304 /x\"", where + ":1:12 \"redirect\": must be");
  expect_complaint("redirect = \"301 /x y\"", where + ":1:12 \"redirect\": must be");
  expect_complaint("redirect = \"/x\"", where + ":1:12 \"redirect\": must be");
  expect_complaint("users = \"/nowhere\"", where + ":1:9 \"users\": open \"/nowhere\"");
  expect_complaint("users = \"/dev/null\"", where + ":1:9 \"users\": open \"/dev/null\"");
  expect_complaint("realm = \"a\\\"b\"", where + ":1:9 \"realm\": must be");
  expect_complaint("listing = 5", where + ":1:11 \"listing\": must be true or false");
}

TEST_F(OptionsFile, that_is_wrong_is_named_with_line_and_key) {
  const std::string where = dir_.path() / "site.toml";
  const auto expect_complaint = [&](std::string_view text, const std::string& begin) {
    EXPECT_EQ(complaint_about(text).substr(0, begin.size()), begin) << text;
  };
  expect_complaint("\n\nwrokers = 4", where + ":3:1 \"wrokers\": unknown key");
  expect_complaint("[server]\nworkers = 4", where + ":1:2 \"server\": unknown key");
  expect_complaint("workers = 4\nroot = 5", where + ":2:8 \"root\": must be a string");
  expect_complaint("listen = \"127.0.0.1:80\"", where + ":1:10 \"listen\": must be an array");
  expect_complaint("listen = [80]", where + ":1:10 \"listen\": must be an array of strings");
  expect_complaint("listen = []", where + ":1:10 \"listen\": needs");
  expect_complaint("listen = [\"x\"]", where + ":1:10 \"listen\": address \"x\"");
  expect_complaint("workers = 1.5", where + ":1:11 \"workers\": must be an integer or a string");
  expect_complaint("workers = true", where + ":1:11 \"workers\": must be");
  expect_complaint("workers = 0",
                   where + ":1:11 \"workers\": must be a whole number from 1 to 256");
  expect_complaint("max-body = \"1\"", where + ":1:12 \"max-body\": must be an integer");
  expect_complaint("max-body = -1", where + ":1:12 \"max-body\": must be a whole number from 0");
  expect_complaint("idle-timeout = inf", where + ":1:16 \"idle-timeout\": must be a time");
  expect_complaint("idle-timeout = []",
                   where + ":1:16 \"idle-timeout\": must be a number of seconds");
  expect_complaint("workers = 4\nworkers = 5", where + ":2");
  expect_complaint("workers = \nroot", where + ":1");
}

TEST_F(OptionsFile, with_a_path_that_has_no_root_is_named_with_its_line) {
  const std::string path = write("\n[[path]]\nprefix = \"/a\"\n");
  EXPECT_EQ(complaint([&] { load_options(parse({"--config", path.c_str()})); }),
            path + ":2:1 \"root\": is missing");
}

TEST_F(OptionsFile, that_cannot_be_read_is_named) {
  Options options;
  const std::string absent = dir_.path() / "absent.toml";
  EXPECT_NE(complaint([&] { load_config(absent, options); }).find(absent), std::string::npos);
  EXPECT_NE(complaint([&] { load_config(dir_.path(), options); }), "");
}

TEST_F(OptionsFile, yields_to_the_command_line_each_time_it_is_read) {
  const std::string path = write("workers = 2\nidle-timeout = 7\nlisten = [\"127.0.0.1:1\"]");
  const CommandLine command_line =
      parse({"--config", path.c_str(), "--workers", "3", "--listen", "127.0.0.1:0"});
  const Options first = load_options(command_line);
  EXPECT_EQ(first.workers, 3u);
  EXPECT_EQ(first.idle_timeout, 7s);
  EXPECT_EQ(first.listen, std::vector<std::string>{"127.0.0.1:0"});

  write("max-body = 1\nworkers = 9");
  const Options second = load_options(command_line);
  EXPECT_EQ(second.workers, 3u);
  EXPECT_EQ(second.idle_timeout, Options{}.idle_timeout);
  EXPECT_EQ(second.max_body, 1u);
}

TEST_F(OptionsFile, is_validated_against_the_system) {
  const auto complaint_about_root = [](std::string root) {
    Options options;
    options.site.root = std::move(root);
    return complaint([&] { validate(options); });
  };
  EXPECT_EQ(complaint_about_root(dir_.path()), "");
  EXPECT_NE(complaint_about_root(write("")).find("Not a directory"), std::string::npos);
  EXPECT_NE(complaint_about_root("/nonexistent").find("/nonexistent"), std::string::npos);

  Options options;
  options.user = "nobody-of-this-name";
  EXPECT_NE(complaint([&] { validate(options); }).find("nobody-of-this-name"), std::string::npos);
  options.user = "root";
  EXPECT_EQ(complaint([&] { validate(options); }), "");
  options.group = "no-group-of-this-name";
  EXPECT_NE(complaint([&] { validate(options); }).find("no-group-of-this-name"), std::string::npos);
  options.user = "";
  options.group = "root";
  EXPECT_NE(complaint([&] { validate(options); }), "");
}

}  // namespace
}  // namespace procpool::http
