#include "servers/http/built_in_site.hpp"

#include <unistd.h>

#include <chrono>
#include <ctime>
#include <regex>
#include <sstream>
#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "servers/http/responder.hpp"
#include "servers/net/task.hpp"
#include "tests/support/contains.hpp"

namespace procpool::http {
namespace {

using proc::Scoreboard;
using proc::WorkerSlot;
using proc::WorkerState;
using test::contains;
using namespace std::chrono_literals;

class BuiltInSite : public testing::Test {
 protected:
  BuiltInSite() {
    board_.master.pid = 4711;
    board_.master.generation = 2;
    board_.master.started = now_ - 3700;
    add_worker(0, ::getpid(), WorkerState::ready);
    add_worker(3, 4714, WorkerState::draining);
  }

  WorkerSlot& add_worker(std::size_t slot, pid_t pid, WorkerState state) {
    WorkerSlot& worker = board_.workers[slot];
    worker.pid = pid;
    worker.generation = 2;
    worker.started = now_ - 90;
    worker.state = state;
    return worker;
  }

  PagePtr get(std::string_view path, std::string_view query = {}) const {
    Request request;
    request.method = Method::get;
    request.path = path;
    request.query = query;
    return make_built_in_site(board_, {})(request).page;
  }

  nlohmann::json json() const { return nlohmann::json::parse(get("/status.json")->body); }

  const std::time_t now_ = std::time(nullptr);
  Scoreboard board_;
};

// What a reader of the page sees, without its tags.
std::string text_of(const Page& page) {
  std::string text;
  bool inside_tag = false;
  for (const char c : std::string_view{page.body}.substr(page.body.find("<main>"))) {
    if (c == '<') inside_tag = true;
    if (!inside_tag) text.push_back(c);
    if (c == '>') inside_tag = false;
  }
  return text;
}

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t times = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != text.npos; at += part.size()) ++times;
  return times;
}

TEST_F(BuiltInSite, tells_people_and_programs_apart_and_lets_no_cache_keep_it) {
  EXPECT_TRUE(contains(get("/")->head, "Content-Type: text/html; charset=utf-8\r\n"));
  EXPECT_TRUE(contains(get("/status")->head, "Content-Type: text/html; charset=utf-8\r\n"));
  EXPECT_TRUE(contains(get("/status.json")->head, "Content-Type: application/json\r\n"));
  EXPECT_TRUE(contains(get("/metrics")->head,
                       "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  for (const char* path : {"/", "/status", "/status.json", "/metrics"}) {
    EXPECT_EQ(get(path)->status, Status::ok) << path;
    EXPECT_TRUE(contains(get(path)->head, "Cache-Control: no-store\r\n")) << path;
  }
}

TEST_F(BuiltInSite, looks_at_the_path_alone) {
  EXPECT_EQ(get("/status.json", "pretty")->status, Status::ok);
  for (const char* path : {"", "/status/", "/Status", "/index.html", "/../status"}) {
    EXPECT_EQ(get(path)->status, Status::not_found) << path;
  }
}

TEST_F(BuiltInSite, welcomes_with_commands_that_work_as_they_stand) {
  const std::string text = text_of(*get("/"));
  for (const char* command : {"kill -HUP 4711", "kill -TTIN 4711", "kill -TTOU 4711", "--root DIR"})
    EXPECT_TRUE(contains(text, command)) << command;
  EXPECT_TRUE(contains(text, "kill -KILL " + std::to_string(::getpid())));
  EXPECT_TRUE(contains(text, "2 workers"));
  EXPECT_TRUE(contains(text, "up 1 h 1 min"));
}

TEST_F(BuiltInSite, pictures_each_worker_and_the_one_that_answered) {
  const std::string html = get("/")->body;
  EXPECT_EQ(count(html, "<li data-state="), 2U);
  EXPECT_TRUE(contains(html, R"(<li data-state="ready" data-busy="false" data-answered="true">)"));
  EXPECT_TRUE(
      contains(html, R"(<li data-state="draining" data-busy="false" data-answered="false">)"));
}

TEST_F(BuiltInSite, needs_nothing_from_elsewhere) {
  for (const char* path : {"/", "/status"}) {
    const std::string html = get(path)->body;
    EXPECT_FALSE(contains(html, "src=")) << path;
    EXPECT_FALSE(contains(html, "<link rel=\"stylesheet\"")) << path;
    EXPECT_FALSE(contains(html, "https:")) << path;
    EXPECT_EQ(count(html, "http:"), count(html, "http://www.w3.org/2000/svg")) << path;
  }
}

TEST_F(BuiltInSite, leaves_no_place_of_its_pages_empty) {
  for (const char* path : {"/", "/status"}) {
    EXPECT_FALSE(contains(get(path)->body, "{{")) << path;
    for (const char* empty :
         {"\"></td>", "<span></span>", "<dd></dd>", "<small></small>", "<b></b>"})
      EXPECT_FALSE(contains(get(path)->body, empty)) << path << ": " << empty;
  }
}

TEST_F(BuiltInSite, shows_what_the_master_went_through) {
  board_.master.reloads = 1;
  board_.master.last_reload = now_ - 30;
  board_.master.reload_result.set("site.toml:3: unknown key \"wrokers\"");
  board_.master.restarts = 5;
  board_.master.deaths.add({.time = now_ - 60, .pid = 4712, .cause = "exited with 1"});
  board_.master.deaths.add({.time = now_ - 20, .pid = 4713, .cause = "killed by SIGSEGV"});

  const auto master = json().at("master");
  EXPECT_EQ(master.at("reloads"), 1);
  EXPECT_EQ(master.at("last_reload_unix"), now_ - 30);
  EXPECT_GE(master.at("last_reload_age_seconds"), 30);
  EXPECT_EQ(master.at("last_reload_result"), "site.toml:3: unknown key \"wrokers\"");
  EXPECT_EQ(master.at("restarts"), 5);
  EXPECT_EQ(master.at("last_reload_ok"), false);
  const auto& restarts = master.at("last_restarts");
  ASSERT_EQ(restarts.size(), 2U);
  EXPECT_EQ(restarts.at(0).at("cause"), "killed by SIGSEGV");
  EXPECT_EQ(restarts.at(0).at("pid"), 4713);
  EXPECT_EQ(restarts.at(0).at("unix"), now_ - 20);
  EXPECT_EQ(restarts.at(1).at("cause"), "exited with 1");
  EXPECT_GE(restarts.at(1).at("age_seconds"), 60);

  const std::string text = text_of(*get("/status"));
  EXPECT_TRUE(contains(text, "unknown key &quot;wrokers&quot;"));
  EXPECT_TRUE(contains(text, "killed by SIGSEGV process 4713, "));
  EXPECT_TRUE(contains(text, " s ago"));
}

TEST_F(BuiltInSite, says_of_what_never_happened_that_it_did_not) {
  const auto status = json();
  for (const char* key :
       {"last_reload_unix", "last_reload_age_seconds", "last_reload_ok", "last_reload_result"})
    EXPECT_TRUE(status.at("master").at(key).is_null()) << key;
  EXPECT_TRUE(status.at("master").at("last_restarts").empty());
  EXPECT_EQ(status.at("master").at("latency").at("count"), 0);
  EXPECT_TRUE(status.at("master").at("latency").at("p50_seconds").is_null());
  for (const char* key : {"last_request", "last_client"})
    EXPECT_TRUE(status.at("workers").at(0).at(key).is_null()) << key;
  EXPECT_TRUE(contains(text_of(*get("/status")), "never"));
}

TEST_F(BuiltInSite, shows_what_each_worker_does) {
  WorkerSlot& worker = board_.workers[3];
  worker.connections = 7;
  worker.accepted = 12;
  worker.begin("GET /a HTTP/1.1", "192.0.2.1");
  worker.count_request(1234567, 100us);

  const auto workers = json().at("workers");
  ASSERT_EQ(workers.size(), 2U);
  EXPECT_EQ(workers.at(0).at("slot"), 0);
  const auto& shown = workers.at(1);
  EXPECT_EQ(shown.at("slot"), 3);
  EXPECT_EQ(shown.at("pid"), 4714);
  EXPECT_EQ(shown.at("generation"), 2);
  EXPECT_EQ(shown.at("state"), "draining");
  EXPECT_EQ(shown.at("busy"), true);
  EXPECT_EQ(shown.at("started_unix"), now_ - 90);
  EXPECT_GE(shown.at("uptime_seconds"), 90);
  EXPECT_EQ(shown.at("connections"), 7);
  EXPECT_EQ(shown.at("accepted"), 12);
  EXPECT_EQ(shown.at("requests"), 1);
  EXPECT_EQ(shown.at("bytes"), 1234567);
  EXPECT_EQ(shown.at("last_request"), "GET /a HTTP/1.1");
  EXPECT_EQ(shown.at("last_client"), "192.0.2.1");

  const std::string text = text_of(*get("/status"));
  EXPECT_TRUE(contains(text, "1.2 MiB"));
  EXPECT_TRUE(contains(text, "GET /a HTTP/1.1"));
}

TEST_F(BuiltInSite, keeps_the_last_few_restarts_only) {
  for (pid_t pid = 1; pid <= 20; ++pid)
    board_.master.deaths.add({.time = now_, .pid = pid, .cause = "killed by SIGKILL"});
  const auto restarts = json().at("master").at("last_restarts");
  ASSERT_EQ(restarts.size(), proc::LastDeaths::kKept);
  EXPECT_EQ(restarts.front().at("pid"), 20);
  EXPECT_EQ(restarts.back().at("pid"), 13);
}

TEST_F(BuiltInSite, tells_memory_and_cpu_time_of_workers_that_it_can_see) {
  board_.workers[3].pid = 1 << 30;  // more than there can be, proc(5): pid_max
  const auto workers = json().at("workers");
  EXPECT_GT(workers.at(0).at("rss_bytes"), 100'000);
  EXPECT_GE(workers.at(0).at("cpu_seconds"), 0.0);
  EXPECT_GE(workers.at(0).at("cpu_ratio"), 0.0);
  for (const char* key : {"rss_bytes", "cpu_seconds", "cpu_ratio"})
    EXPECT_TRUE(workers.at(1).at(key).is_null()) << key;
}

TEST_F(BuiltInSite, tells_how_long_answers_took) {
  for (int i = 0; i < 98; ++i) board_.workers[0].count_request(1, 100us);
  board_.workers[3].count_request(1, 3ms);
  board_.master.finished_latency.observe(1h);

  const auto status = json();
  const auto all = status.at("master").at("latency");
  EXPECT_EQ(all.at("count"), 100);
  EXPECT_NEAR(all.at("sum_seconds"), 3600 + 0.003 + 0.0098, 1e-6);
  EXPECT_NEAR(all.at("p50_seconds"), 100e-6, 100e-6 / 8);
  EXPECT_NEAR(all.at("p99_seconds"), 3e-3, 3e-3 / 8);
  EXPECT_EQ(all.at("buckets"), (nlohmann::json{{"0.000128", 98}, {"0.004096", 1}, {"+Inf", 1}}));
  const auto slow = status.at("workers").at(1).at("latency");
  EXPECT_EQ(slow.at("count"), 1);
  EXPECT_NEAR(slow.at("p50_seconds"), 3e-3, 3e-3 / 8);

  const std::string text = text_of(*get("/status"));
  EXPECT_TRUE(std::regex_search(text, std::regex{"(9\\d|1[01]\\d) µs"})) << text;
  EXPECT_TRUE(contains(text, "≤ 4.1 ms")) << text;
}

TEST_F(BuiltInSite, has_histograms_in_its_metrics) {
  board_.workers[0].count_request(1, 100us);
  board_.workers[0].count_request(1, 3ms);
  board_.master.finished_latency.observe(1h);
  const std::string text = get("/metrics")->body;
  const std::string of_worker = "slot=\"0\",pid=\"" + std::to_string(::getpid()) + "\"";
  for (const std::string& line : {
           std::string{"# TYPE procpool_httpd_request_duration_seconds histogram"},
           std::string{"procpool_httpd_request_duration_seconds_bucket{le=\"0.000064\"} 0"},
           std::string{"procpool_httpd_request_duration_seconds_bucket{le=\"0.000128\"} 1"},
           std::string{"procpool_httpd_request_duration_seconds_bucket{le=\"0.004096\"} 2"},
           std::string{"procpool_httpd_request_duration_seconds_bucket{le=\"+Inf\"} 3"},
           std::string{"procpool_httpd_request_duration_seconds_count 3"},
           "procpool_httpd_worker_request_duration_seconds_bucket{" + of_worker + ",le=\"+Inf\"} 2",
           "procpool_httpd_worker_request_duration_seconds_sum{" + of_worker + "} 0.0031",
           "procpool_httpd_worker_request_duration_seconds_count{" + of_worker + "} 2",
       }) {
    EXPECT_TRUE(contains(text, "\n" + line + "\n")) << line << " is not in:\n" << text;
  }
}

TEST_F(BuiltInSite, has_metrics_of_the_last_reload_and_of_restarts_by_cause) {
  EXPECT_FALSE(contains(get("/metrics")->body, "last_reload_successful 0"));
  board_.master.last_reload = now_;
  board_.master.reload_result.set("no");
  for (const char* cause : {"killed by SIGSEGV", "exited with 1 (\"\\\n)", "killed by SIGSEGV"})
    board_.master.deaths.add({.time = now_, .pid = 1, .cause = cause});
  const std::string text = get("/metrics")->body;
  for (const std::string& line :
       {std::string{"procpool_httpd_last_reload_successful 0"},
        "procpool_httpd_last_reload_time_seconds " + std::to_string(now_),
        std::string{"procpool_httpd_last_restarts{cause=\"killed by SIGSEGV\"} 2"},
        std::string{"procpool_httpd_last_restarts{cause=\"exited with 1 (\\\"\\\\\\n)\"} 1"}}) {
    EXPECT_TRUE(contains(text, "\n" + line + "\n")) << line << " is not in:\n" << text;
  }
}

TEST_F(BuiltInSite, has_metrics_of_master_and_workers) {
  board_.master.restarts = 5;
  WorkerSlot& worker = board_.workers[3];
  worker.pid = 1 << 30;
  worker.connections = 7;
  worker.begin("GET /\"\n HTTP/1.1", "192.0.2.1");
  worker.count_request(1234567, 100us);

  const std::string text = get("/metrics")->body;
  const std::string labels = R"({slot="3",pid="1073741824"})";
  for (const std::string& line : {
           std::string{"# TYPE procpool_httpd_restarts_total counter"},
           std::string{"procpool_httpd_restarts_total 5"},
           std::string{"procpool_httpd_generation 2"},
           std::string{"procpool_httpd_sent_bytes_total 1234567"},
           std::string{
               R"(procpool_httpd_worker_state{slot="3",pid="1073741824",state="draining"} 1)"},
           std::string{R"(procpool_httpd_worker_state{slot="3",pid="1073741824",state="ready"} 0)"},
           "procpool_httpd_worker_generation" + labels + " 2",
           "procpool_httpd_worker_busy" + labels + " 1",
           "procpool_httpd_worker_connections" + labels + " 7",
           "procpool_httpd_worker_requests_total" + labels + " 1",
           "procpool_httpd_worker_sent_bytes_total" + labels + " 1234567",
       }) {
    EXPECT_TRUE(contains(text, "\n" + line + "\n")) << line << " is not in:\n" << text;
  }
  EXPECT_TRUE(contains(text, "procpool_httpd_worker_age_seconds" + labels + " 9"));
  EXPECT_TRUE(contains(text, "procpool_httpd_worker_resident_memory_bytes{slot=\"0\""));
  EXPECT_FALSE(contains(text, "procpool_httpd_worker_resident_memory_bytes" + labels));
  EXPECT_EQ(text.back(), '\n');
}

// As the format says: a name, labels or none, and a number; or a comment.
TEST_F(BuiltInSite, has_metrics_in_the_form_that_prometheus_reads) {
  std::istringstream lines{get("/metrics")->body};
  const std::regex form{
      "# (HELP|TYPE) [a-z_]+ .+|"
      "[a-z_]+(\\{[a-z]+=\"[A-Za-z0-9.+]+\"(,[a-z]+=\"[A-Za-z0-9.+]+\")*\\})? "
      "[0-9]+(\\.[0-9]+)?(e-?[0-9]+)?"};
  for (std::string line; std::getline(lines, line);)
    EXPECT_TRUE(std::regex_match(line, form)) << line;
}

TEST_F(BuiltInSite, adds_the_living_to_those_that_are_gone) {
  board_.master.finished_requests = 1'000'000;
  board_.master.finished_bytes = 1023;
  board_.workers[0].count_request(1, 100us);
  EXPECT_EQ(json().at("master").at("requests"), 1'000'001);
  EXPECT_EQ(json().at("master").at("bytes"), 1024);
  EXPECT_TRUE(contains(text_of(*get("/status")), "1,000,001"));
  EXPECT_TRUE(contains(text_of(*get("/status")), "1.0 KiB"));
}

TEST_F(BuiltInSite, is_made_anew_for_each_request) {
  const PagePtr before = get("/status.json");
  add_worker(1, 4712, WorkerState::starting);
  EXPECT_NE(get("/status.json")->body, before->body);
  EXPECT_EQ(json().at("workers").at(1).at("state"), "starting");
}

TEST_F(BuiltInSite, shows_what_a_client_sent_as_text_and_never_as_markup) {
  board_.workers[0].begin("GET /<script>alert('x')</script>\" HTTP/1.1", "\"><b>");
  const std::string html = get("/status")->body;
  EXPECT_FALSE(contains(html, "<script>alert"));
  EXPECT_FALSE(contains(html, "\"><b>"));
  EXPECT_TRUE(contains(html, "&lt;script&gt;alert(&#39;x&#39;)"));
}

TEST_F(BuiltInSite, survives_bytes_that_are_no_text) {
  board_.workers[0].begin("GET /\xff\xc3\x01{{/master/pid}} HTTP/1.1", "\xf0\x9f");
  EXPECT_EQ(json().at("workers").at(0).at("last_request"),
            "GET /\xef\xbf\xbd\xef\xbf\xbd\x01{{/master/pid}} HTTP/1.1");
  EXPECT_EQ(get("/status")->status, Status::ok);
  EXPECT_TRUE(contains(get("/status")->body, "{{/master/pid}}"));
}

TEST_F(BuiltInSite, counts_no_time_below_zero_when_the_clock_was_set_back) {
  board_.master.started = now_ + 3600;
  EXPECT_EQ(json().at("master").at("uptime_seconds"), 0);
  EXPECT_EQ(get("/")->status, Status::ok);
}

TEST_F(BuiltInSite, stands_without_any_worker) {
  for (WorkerSlot& worker : board_.workers) worker.state = WorkerState::none;
  EXPECT_TRUE(json().at("workers").empty());
  EXPECT_EQ(get("/status")->status, Status::ok);
  EXPECT_TRUE(contains(text_of(*get("/")), "0 workers"));
}

// What a client of this address is told.
Status status_for(const Site& site, std::string_view client) {
  const Request request = [] {
    Request asked;
    asked.method = Method::get;
    asked.path = "/status.json";
    return asked;
  }();
  Status status = Status::internal_server_error;
  net::TaskGroup tasks{[](const std::exception_ptr&) {}};
  const auto responder = site(request).responder;
  if (!responder) return status;
  const auto ask = [&]() -> net::Task<> {
    const PagePtr page =
        co_await responder->respond({.request = request, .client = client, .socket = -1});
    status = page->status;
  };
  tasks.spawn(ask());
  return status;
}

TEST_F(BuiltInSite, shows_its_status_to_this_machine_only_if_it_is_told_so) {
  const Site site = make_built_in_site(board_, {.to_all = false});
  for (const char* here : {"127.0.0.1", "127.8.8.8", "::1", "unix"})
    EXPECT_EQ(status_for(site, here), Status::ok) << here;
  for (const char* elsewhere : {"192.0.2.1", "2001:db8::1", "::", "1.127.0.0", ""})
    EXPECT_EQ(status_for(site, elsewhere), Status::forbidden) << elsewhere;
}

}  // namespace
}  // namespace procpool::http
