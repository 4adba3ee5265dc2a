// server-demo run, client, compare and jobs, as somebody would try them.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "ipc/base/deadline.hpp"
#include "ipc/base/io.hpp"
#include "proc/process.hpp"
#include "tests/support/contains.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/tools/tool.hpp"

namespace procpool::test {
namespace {

using proc::ExitStatus;
using proc::Process;
using proc::Redirection;

const std::vector<std::string> kModels{
    "iterative",           "busy-loop",         "thread-per-client",     "prethread-shared",
    "prethread-reuseport", "prethread-lock",    "prethread-file-lock",   "prethread-pass",
    "fork-per-client",     "fork-ahead",        "prefork-shared",        "prefork-reuseport",
    "prefork-lock",        "prefork-file-lock", "prefork-pass",          "event-loop-select",
    "event-loop-poll",     "event-loop-epoll",  "event-loop-epoll-edge", "coroutines"};

Ran run(const std::vector<std::string>& arguments) {
  return run_tool(PROCPOOL_SERVER_DEMO, arguments);
}

// A server that runs until the test ends it.
class Server {
 public:
  explicit Server(std::vector<std::string> arguments)
      : process_{Process::spawn(
            command_of(PROCPOOL_SERVER_DEMO, with_run(std::move(arguments))),
            {.die_with_parent = true, .redirections = {Redirection::pipe_from(1)}})} {}

  // As it says itself: "MODEL: PROTOCOL at ADDRESS, process PID; ..."
  std::string address() {
    if (greeting_.empty()) greeting_ = first_line();
    const std::size_t begin = greeting_.find(" at ") + 4;
    return greeting_.substr(begin, greeting_.find(", process ") - begin);
  }

  // What it says at its end.
  std::string stop() {
    process_.signal(SIGTERM);
    const std::string rest = read_to_end(process_.pipe(1).fd(), "server-demo");
    EXPECT_EQ(process_.wait(), ExitStatus::exited(0));
    return rest;
  }

 private:
  static std::vector<std::string> with_run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "run");
    return arguments;
  }

  std::string first_line() {
    std::string line;
    const int output = process_.pipe(1).fd();
    while (!line.ends_with('\n')) {
      char next = 0;
      if (wait_ready(output, POLLIN, Deadline::in(kPatience)) == 0) break;
      if (::read(output, &next, 1) != 1) break;
      line += next;
    }
    EXPECT_TRUE(contains(line, " at ")) << line;
    return line;
  }

  Process process_;
  std::string greeting_;
};

// What `server-demo client` shows when this is typed.
Ran client(std::vector<std::string> arguments, const std::string& typed) {
  const TempDir folder;
  const std::string in = folder.path() / "in";
  std::ofstream{in} << typed;
  arguments.insert(arguments.begin(), "client");
  auto process = Process::spawn(command_of(PROCPOOL_SERVER_DEMO, arguments),
                                {.die_with_parent = true,
                                 .redirections = {Redirection::file(0, in, O_RDONLY),
                                                  Redirection::file(1, folder.path() / "out"),
                                                  Redirection::file(2, folder.path() / "err")}});
  const pid_t pid = process.pid();
  const ExitStatus status = process.wait();
  return {.pid = pid,
          .status = status,
          .output = read_file(folder.path() / "out"),
          .errors = read_file(folder.path() / "err")};
}

std::string answer_to(std::vector<std::string> arguments, const std::string& typed) {
  const Ran ran = client(std::move(arguments), typed);
  EXPECT_EQ(ran.status, ExitStatus::exited(0)) << ran.status.text() << ran.errors;
  return ran.output;
}

std::size_t count_of(const std::string& text, const std::string& words) {
  std::size_t count = 0;
  for (std::size_t at = text.find(words); at != std::string::npos; at = text.find(words, at + 1)) {
    ++count;
  }
  return count;
}

class EveryModel : public testing::TestWithParam<std::string> {};

TEST_P(EveryModel, echoes_what_is_sent) {
  Server server{{GetParam()}};
  const std::string much(200'000, 'x');
  EXPECT_EQ(answer_to({server.address()}, "one\ntwo\n" + much), "one\ntwo\n" + much + "\n");
  EXPECT_EQ(answer_to({server.address()}, ""), "");
  const std::string end = server.stop();
  EXPECT_TRUE(contains(end, "2 clients, ")) << end;
  EXPECT_TRUE(contains(end, "200009 B received")) << end;
}

TEST_P(EveryModel, answers_http_on_one_connection) {
  Server server{{GetParam(), "--protocol", "http"}};
  const std::string answer = answer_to({server.address(), "--protocol", "http"}, "/\n/again\n");
  EXPECT_EQ(count_of(answer, "HTTP/1.1 200 OK\r\n"), 2U) << answer;
  EXPECT_EQ(count_of(answer, "\r\n\r\nhello\n"), 2U) << answer;
  EXPECT_TRUE(contains(server.stop(), "1 client, "));
}

TEST_P(EveryModel, speaks_lines) {
  Server server{{GetParam(), "--protocol", "lines"}};
  EXPECT_EQ(answer_to({server.address(), "--protocol", "lines"}, "quiet\nMiXed 12\n"),
            "QUIET\nMIXED 12\n");
  server.stop();
}

TEST_P(EveryModel, listens_on_a_unix_socket) {
  const TempDir folder;
  const std::string address = "unix:" + (folder.path() / "socket").string();
  Server server{{GetParam(), "--listen", address}};
  EXPECT_EQ(server.address(), address);
  EXPECT_EQ(answer_to({address}, "hello\n"), "hello\n");
  server.stop();
}

std::string name_of_parameter(const testing::TestParamInfo<std::string>& parameter) {
  std::string name = parameter.param;
  std::ranges::replace(name, '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(ServerDemoRun, EveryModel, testing::ValuesIn(kModels), name_of_parameter);

class EveryDatagramModel : public testing::TestWithParam<std::string> {};

TEST_P(EveryDatagramModel, answers_datagrams) {
  Server server{{GetParam()}};
  EXPECT_EQ(answer_to({server.address(), "--udp"}, "one\ntwo\n"), "one\ntwo\n");
  EXPECT_TRUE(contains(server.stop(), "2 datagrams, 6 B received"));
}

INSTANTIATE_TEST_SUITE_P(ServerDemoRun, EveryDatagramModel,
                         testing::Values("udp-turn", "udp-thread", "udp-process"),
                         name_of_parameter);

TEST(ServerDemoRun, without_a_model_lists_them) {
  const Ran listed = run({"run"});
  EXPECT_EQ(listed.status, ExitStatus::exited(0)) << listed.errors;
  for (const std::string& model : kModels) {
    EXPECT_TRUE(contains(listed.output, "\n  " + model + " ")) << model;
  }
  EXPECT_TRUE(contains(listed.output, "\n  udp-process "));
}

TEST(ServerDemoRun, says_that_somebody_else_listens_there) {
  Server server{{"coroutines"}};
  const Ran refused = run({"run", "iterative", "--listen", server.address()});
  EXPECT_EQ(refused.status, ExitStatus::exited(1));
  EXPECT_TRUE(contains(refused.errors, server.address())) << refused.errors;
  server.stop();
}

TEST(ServerDemoRun, refuses_with_http_what_is_no_get) {
  Server server{{"coroutines", "--protocol", "http"}};
  const std::string answer = answer_to({server.address()}, "POST / HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 405 ")) << answer;
  server.stop();
}

TEST(ServerDemoClient, says_that_nobody_is_there) {
  const TempDir folder;
  const Ran refused = client({"unix:" + (folder.path() / "nobody").string()}, "hello\n");
  EXPECT_EQ(refused.status, ExitStatus::exited(1));
  EXPECT_TRUE(contains(refused.errors, "nobody")) << refused.errors;
}

TEST(ServerDemoClient, says_how_many_datagrams_had_no_answer) {
  Server server{{"udp-turn"}};
  const std::string address = server.address();
  server.stop();
  const Ran unanswered = client({address, "--udp"}, "hello\n");
  EXPECT_EQ(unanswered.status, ExitStatus::exited(1));
  EXPECT_TRUE(contains(unanswered.errors, "1 of 1 had no answer")) << unanswered.errors;
}

TEST(ServerDemo, refuses_wrong_usage_in_one_line) {
  const auto expect_refusal = [](const std::vector<std::string>& arguments,
                                 const std::string& word) {
    const Ran refused = run(arguments);
    EXPECT_EQ(refused.status, ExitStatus::exited(2)) << refused.status.text() << word;
    EXPECT_EQ(refused.output, "");
    EXPECT_TRUE(refused.errors.starts_with("server-demo: ")) << refused.errors;
    EXPECT_EQ(std::ranges::count(refused.errors, '\n'), 1) << refused.errors;
    EXPECT_TRUE(contains(refused.errors, word)) << refused.errors;
  };
  expect_refusal({"run", "bogus"}, "bogus");
  expect_refusal({"run", "coroutines", "--protocol", "bogus"}, "bogus");
  expect_refusal({"run", "udp-turn", "--protocol", "http"}, "echo only");
  expect_refusal({"run", "iterative", "--workers", "3"}, "--workers");
  expect_refusal({"run", "coroutines", "--listen", "nowhere"}, "nowhere");
  expect_refusal({"run", "coroutines", "--max-connections", "0"}, "--max-connections");
  expect_refusal({"client"}, "address");
  expect_refusal({"client", "nowhere"}, "nowhere");
  expect_refusal({"client", "127.0.0.1:1", "--udp", "--protocol", "http"}, "--udp");
  expect_refusal({"compare", "--seconds", "soon"}, "soon");
  expect_refusal({"compare", "--models", "coroutines,bogus"}, "bogus");
  expect_refusal({"compare", "--models", "udp-turn"}, "udp-turn");
  expect_refusal({"compare", "--connections", "0"}, "--connections");
  expect_refusal({"jobs", "stray"}, "stray");
}

TEST(ServerDemoCompare, says_where_it_cannot_write) {
  const Ran refused = run({"compare", "--html", "/nowhere/page.html"});
  EXPECT_EQ(refused.status, ExitStatus::exited(1));
  EXPECT_TRUE(contains(refused.errors, "/nowhere/page.html")) << refused.errors;
}

std::string joined(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ",") + name;
  return list;
}

nlohmann::json cells_in(const std::string& json_file) {
  return nlohmann::json::parse(read_file(json_file)).at("cells");
}

TEST(ServerDemoCompare, measures_every_cell_and_keeps_it) {
  const TempDir folder;
  const std::string json_file = folder.path() / "figures.json";
  const std::string html_file = folder.path() / "page.html";
  const std::vector<std::string> models{"iterative",      "thread-per-client", "fork-per-client",
                                        "prefork-shared", "event-loop-poll",   "coroutines"};
  const Ran compared = run({"compare", "--seconds", "10", "--models", joined(models),
                            "--connections", "1,4", "--json", json_file, "--html", html_file});
  ASSERT_EQ(compared.status, ExitStatus::exited(0)) << compared.errors;
  EXPECT_EQ(compared.errors, "");
  const auto figures = nlohmann::json::parse(read_file(json_file));
  constexpr std::size_t kLoads = 3;
  constexpr std::size_t kHandlers = 2;
  constexpr std::size_t kSizes = 2;
  EXPECT_EQ(figures.at("cells").size(), models.size() * kLoads * kHandlers * kSizes);
  for (const auto& cell : figures.at("cells")) {
    EXPECT_GT(cell.at("answers"), 0) << cell;
    EXPECT_GT(cell.at("memory_bytes"), 0) << cell;
    EXPECT_GE(cell.at("threads"), cell.at("processes")) << cell;
    EXPECT_GT(cell.at("latency_p50_us"), 0) << cell;
    EXPECT_LE(cell.at("latency_p50_us"), cell.at("latency_p99_us")) << cell;
  }
  const std::string page = read_file(html_file);
  EXPECT_TRUE(page.starts_with("<!doctype html>"));
  EXPECT_TRUE(page.ends_with("</html>\n"));
  for (const std::string word : {"http://", "https://", "<script", "nan", "inf'"}) {
    EXPECT_FALSE(contains(page, word)) << word;
  }
  EXPECT_EQ(count_of(page, "<svg"), count_of(page, "</svg>"));
  for (const std::string& model : models) {
    EXPECT_TRUE(contains(compared.output, "\n  " + model + " ")) << compared.output;
    EXPECT_TRUE(contains(page, "<dt>" + model + "</dt>")) << model;
  }
}

// Four clients who stay are more than `iterative` serves; on a busy machine also the others may
// leave some waiting.
TEST(ServerDemoCompare, recommends_what_it_has_measured) {
  const TempDir folder;
  const std::string json_file = folder.path() / "figures.json";
  const Ran compared = run({"compare", "--seconds", "5", "--models", "iterative,coroutines",
                            "--connections", "4", "--json", json_file});
  ASSERT_EQ(compared.status, ExitStatus::exited(0)) << compared.errors;
  for (const auto& cell : cells_in(json_file)) {
    if (cell.at("load") != "keep-alive" || cell.at("model") != "coroutines") continue;
    const std::string need =
        "  4 keep-alive clients, " + cell.at("handler").get<std::string>() + "\n    ";
    const bool fair =
        cell.at("served") == 4 &&
        (cell.at("answered") == 4 || cell.at("answers") < 2 * cell.at("answered").get<int>());
    EXPECT_TRUE(contains(compared.output,
                         need + (fair ? "coroutines answers most: " : "No model had an answer ")))
        << compared.output;
  }
}

// One who stays keeps the others waiting, and the table says so.
TEST(ServerDemoCompare, shows_who_starves) {
  const TempDir folder;
  const std::string json_file = folder.path() / "figures.json";
  const Ran compared = run({"compare", "--seconds", "4", "--models", "iterative", "--connections",
                            "4", "--json", json_file});
  ASSERT_EQ(compared.status, ExitStatus::exited(0)) << compared.errors;
  EXPECT_TRUE(contains(compared.output, "(1/4)")) << compared.output;
  for (const auto& cell : cells_in(json_file)) {
    if (cell.at("load") != "short-lived") {
      EXPECT_EQ(cell.at("served"), 1) << cell;
      EXPECT_EQ(cell.at("answered"), 1) << cell;
    }
  }
}

TEST(ServerDemoCompare, says_why_a_model_cannot_have_so_many) {
  const TempDir folder;
  const std::string json_file = folder.path() / "figures.json";
  const Ran compared = run({"compare", "--seconds", "4", "--models", "event-loop-select",
                            "--connections", "1,2000", "--json", json_file});
  ASSERT_EQ(compared.status, ExitStatus::exited(0)) << compared.errors;
  EXPECT_TRUE(contains(compared.output, "event-loop-select at 2000: select(2) knows"))
      << compared.output;
  for (const auto& cell : cells_in(json_file)) {
    EXPECT_EQ(cell.contains("reason"), cell.at("connections") == 2000) << cell;
  }
}

TEST(ServerDemoJobs, proves_the_same_result_by_each_way) {
  const Ran jobs = run({"jobs"});
  EXPECT_EQ(jobs.status, ExitStatus::exited(0)) << jobs.status.text() << jobs.errors;
  EXPECT_EQ(count_of(jobs.output, "\n  ok     "), 8U) << jobs.output;
  EXPECT_FALSE(contains(jobs.output, "WRONG")) << jobs.output;
  for (const std::string way : {"processes", "threads", "coroutines"}) {
    EXPECT_TRUE(contains(jobs.output, "\n  " + way + " ")) << jobs.output;
  }
}

}  // namespace
}  // namespace procpool::test
