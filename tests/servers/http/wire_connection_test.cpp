// How a connection lives: pipelining, persistence, time-outs, bodies, and ends that lose nothing.
#include <sys/socket.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/deadline.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/http_server.hpp"

namespace procpool::test {
namespace {

using namespace std::chrono_literals;

constexpr auto kClose = "Connection: close\r\n";
constexpr auto kShort = "300ms";  // for a time-out that a test waits for

// Far longer than a test takes, so that no other time-out can be what ended a connection.
HttpServerSetup patient() {
  return {.arguments = {"--header-timeout", "60", "--idle-timeout", "60", "--send-timeout", "60",
                        "--workers", "1"}};
}

HttpServerSetup patient_but_for(const std::string& option, const std::string& value = kShort) {
  HttpServerSetup setup = patient();
  setup.arguments.insert(setup.arguments.end(), {option, value});
  return setup;
}

void write_file(const std::filesystem::path& path, std::string_view text) {
  std::ofstream{path} << text;
}

std::string post(std::string_view fields, std::string_view body = {}) {
  return std::string{"POST /file HTTP/1.1\r\nHost: a\r\n"}.append(fields).append("\r\n").append(
      body);
}

std::size_t open_sockets(pid_t pid) {
  std::size_t count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator{"/proc/" + std::to_string(pid) + "/fd"}) {
    std::error_code gone;
    const auto target = std::filesystem::read_symlink(entry.path(), gone);
    if (target.string().starts_with("socket:")) ++count;
  }
  return count;
}

// --- one after another ---

TEST(Connection, answers_sixteen_requests_of_one_segment_in_order) {
  const HttpServer server;
  std::string requests;
  for (int i = 0; i < 16; ++i) {
    write_file(server.root() / std::to_string(i), "file " + std::to_string(i));
    requests += get_request("/" + std::to_string(i), i == 15 ? kClose : "");
  }
  HttpClient client{server.port()};
  client.send(requests);
  const Received received = client.receive_rest();
  EXPECT_EQ(received.end, End::closed);
  ASSERT_EQ(received.answers.size(), 16u);
  for (std::size_t i = 0; i < 16; ++i) {
    EXPECT_EQ(received.answers[i].body, "file " + std::to_string(i));
  }
}

TEST(Connection, answers_more_pipelined_requests_than_its_buffers_hold) {
  const HttpServer server;
  const std::string large(100'000, 'l');  // sent from its file
  const std::string small(4'000, 's');    // sent from memory
  write_file(server.root() / "large", large);
  write_file(server.root() / "small", small);
  std::string requests;
  for (int i = 0; i < 1000; ++i) requests += get_request(i % 10 == 0 ? "/large" : "/small");
  requests += get_request("/small", kClose);
  HttpClient client{server.port()};
  client.send(requests);
  const Received received = client.receive_rest();
  EXPECT_EQ(received.end, End::closed);
  ASSERT_EQ(received.answers.size(), 1001u);
  for (std::size_t i = 0; i < 1001; ++i) {
    ASSERT_EQ(received.answers[i].body, i % 10 == 0 && i < 1000 ? large : small) << i;
  }
}

TEST(Connection, understands_a_request_that_is_cut_anywhere) {
  const HttpServer server;
  write_file(server.root() / "file", "text");
  const std::string request = get_request("/file?query", "Accept: */*\r\n");
  HttpClient client{server.port()};
  for (std::size_t i = 1; i < request.size(); ++i) {
    client.send(std::string_view{request}.substr(0, i));
    EXPECT_FALSE(client.readable(Deadline::now()));
    client.send(std::string_view{request}.substr(i));
    ASSERT_EQ(client.receive().body, "text") << "cut behind byte " << i;
  }
}

TEST(Connection, of_1_0_persists_when_both_sides_say_so) {
  const HttpServer server;
  write_file(server.root() / "file", "text");
  HttpClient client{server.port()};
  for (int i = 0; i < 3; ++i) {
    client.send("GET /file HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    const Answer answer = client.receive();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.field("connection"), "keep-alive");
  }
  client.send("GET /file HTTP/1.0\r\n\r\n");
  const Received received = client.receive_rest();
  EXPECT_EQ(received.statuses(), std::vector{200});
  EXPECT_EQ(received.end, End::closed);
}

TEST(Connection, is_not_mentioned_in_answers_of_1_1_that_keep_it) {
  const HttpServer server;
  HttpClient client{server.port()};
  EXPECT_EQ(client.get("/none").field("connection"), std::nullopt);
}

TEST(Connection, understands_a_list_of_options) {
  const HttpServer server;
  HttpClient client{server.port()};
  client.send(get_request("/", "Connection: foo , CLOSE\r\n"));
  EXPECT_EQ(client.receive_rest().answers.size(), 1u);
}

TEST(Connection, gives_HEAD_the_head_of_GET_and_no_body) {
  const HttpServer server;
  for (const auto& [name, size] : {std::pair{"small", 5}, std::pair{"large", 100'000}}) {
    write_file(server.root() / name, std::string(static_cast<std::size_t>(size), 'x'));
    const std::string target = std::string{"/"} + name;
    HttpClient client{server.port()};
    const Answer get = client.get(target);
    client.send("HEAD " + target + " HTTP/1.1\r\nHost: a\r\n\r\n");
    const Answer head = client.receive(To::head);
    EXPECT_EQ(head.status, 200);
    EXPECT_EQ(head.body, "");
    for (const std::string_view field :
         {"Content-Length", "Content-Type", "Last-Modified", "ETag"}) {
      EXPECT_EQ(head.field(field), get.field(field)) << field;
    }
    EXPECT_EQ(client.get(target).body, get.body);
  }
}

TEST(Connection, gives_HEAD_no_body_with_an_error_either) {
  const HttpServer server;
  HttpClient client{server.port()};
  client.send("HEAD /none HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\n\r\n");
  const Received received = client.receive_rest({To::head, To::head});
  EXPECT_EQ(received.statuses(), (std::vector{404, 400}));
  EXPECT_EQ(received.end, End::closed);
}

TEST(Connection, names_the_methods_that_are_allowed) {
  const HttpServer server;
  HttpClient client{server.port()};
  for (const std::string method : {"POST", "PUT", "DELETE", "PATCH"}) {
    client.send(method + " / HTTP/1.1\r\nHost: a\r\n\r\n");
    const Answer answer = client.receive();
    EXPECT_EQ(answer.status, 405);
    EXPECT_EQ(answer.field("allow"), "GET, HEAD, OPTIONS");
  }
  client.send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(client.receive().field("allow"), "GET, HEAD, OPTIONS");
}

// --- bodies ---

TEST(Connection, goes_on_behind_a_body_that_nobody_wanted) {
  const HttpServer server;
  write_file(server.root() / "file", "text");
  HttpClient client{server.port()};
  const std::string body(200'000, 'b');
  for (int i = 0; i < 3; ++i) {
    client.send(post("Content-Length: 200000\r\n", body) + get_request("/file"));
    EXPECT_EQ(client.receive().status, 405);
    EXPECT_EQ(client.receive().body, "text");
  }
}

TEST(Connection, reads_chunks_that_are_cut_anywhere) {
  const HttpServer server;
  const std::string request = post("Transfer-Encoding: chunked\r\n",
                                   "3;x=\"y\"\r\nabc\r\n0000A\r\n0123456789\r\n0\r\nT: t\r\n\r\n");
  HttpClient client{server.port()};
  for (std::size_t i = 1; i < request.size(); ++i) {
    client.send(std::string_view{request}.substr(0, i));
    client.send(std::string_view{request}.substr(i));
    ASSERT_EQ(client.receive().status, 405) << "cut behind byte " << i;
  }
}

TEST(Connection, takes_a_body_up_to_the_limit_and_not_a_byte_more) {
  const HttpServer server{{.arguments = {"--max-body", "1000"}}};
  const auto status_of = [&](const std::string& request) {
    HttpClient client{server.port()};
    client.send(request);
    return client.receive().status;
  };
  EXPECT_EQ(status_of(post("Content-Length: 1000\r\n", std::string(1000, 'b'))), 405);
  EXPECT_EQ(status_of(post("Content-Length: 1001\r\n")), 413);
  const std::string chunk = "1f4\r\n" + std::string(500, 'b') + "\r\n";
  EXPECT_EQ(status_of(post("Transfer-Encoding: chunked\r\n", chunk + chunk + "0\r\n\r\n")), 405);
  EXPECT_EQ(status_of(post("Transfer-Encoding: chunked\r\n", chunk + chunk + "1\r\n")), 413);
}

TEST(Connection, answers_at_once_a_client_that_waits_to_send_its_body) {
  const HttpServer server{patient()};
  for (const std::string framing : {"Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"}) {
    HttpClient client{server.port()};
    client.send(post(framing + "Expect: 100-continue\r\n"));
    const Answer answer = client.receive();
    EXPECT_EQ(answer.status, 405);
    EXPECT_TRUE(answer.says_close());  // whether the body comes, nobody knows
    client.finish();
    const Received rest = client.receive_rest();
    EXPECT_TRUE(rest.answers.empty());
    EXPECT_EQ(rest.end, End::closed);
  }
}

TEST(Connection, refuses_a_large_body_before_it_is_sent) {
  const HttpServer server{patient()};
  HttpClient client{server.port()};
  client.send(post("Content-Length: 1000000000\r\nExpect: 100-continue\r\n"));
  EXPECT_EQ(client.receive().status, 413);
}

TEST(Connection, never_sends_100_to_1_0) {
  const HttpServer server;
  HttpClient client{server.port()};
  client.send("POST /file HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n12345");
  EXPECT_EQ(client.receive_rest().statuses(), std::vector{405});
}

TEST(Connection, fails_other_expectations) {
  const HttpServer server;
  HttpClient client{server.port()};
  client.send(get_request("/", "Expect: 200-maybe\r\n"));
  EXPECT_EQ(client.receive_rest().statuses(), std::vector{417});
}

// --- slow and silent clients ---

TEST(Connection, gives_up_a_head_that_does_not_end) {
  const HttpServer server{patient_but_for("--header-timeout")};
  HttpClient client{server.port()};
  client.send("GET / HTTP/1.1\r\nHos");
  const Received received = client.receive_rest();
  ASSERT_EQ(received.statuses(), std::vector{408});
  EXPECT_TRUE(received.answers[0].says_close());
  EXPECT_EQ(received.end, End::closed);
}

// Each byte comes well within the time-out: what counts is the whole head.
TEST(Connection, gives_up_a_head_that_comes_in_drops) {
  const HttpServer server{patient_but_for("--header-timeout")};
  HttpClient client{server.port()};
  client.send("GET / HTTP/1.1\r\nX: ");
  while (!client.readable(Deadline::in(20ms))) client.send("x");
  client.finish();
  EXPECT_EQ(client.receive_rest().statuses(), std::vector{408});
}

TEST(Connection, gives_up_a_body_that_comes_in_drops) {
  const HttpServer server{patient_but_for("--header-timeout")};
  HttpClient client{server.port()};
  client.send(post("Content-Length: 1000000\r\n"));
  while (!client.readable(Deadline::in(20ms))) client.send("x");
  client.finish();
  EXPECT_EQ(client.receive_rest().statuses(), std::vector{408});
}

TEST(Connection, is_closed_without_a_word_when_it_idles) {
  const HttpServer server{patient_but_for("--idle-timeout")};
  HttpClient fresh{server.port()};
  HttpClient used{server.port()};
  EXPECT_EQ(used.get("/none").status, 404);
  for (HttpClient* client : {&fresh, &used}) {
    const Received received = client->receive_rest();
    EXPECT_TRUE(received.answers.empty());
    EXPECT_EQ(received.end, End::closed);
  }
}

// Of a client that asks and does not read, whatever it asked for: nothing is left in the worker.
void expect_cut_while_others_are_served(std::string_view requests) {
  const HttpServer server{patient_but_for("--send-timeout")};
  write_file(server.root() / "large", std::string(8 << 20, 'l'));
  write_file(server.root() / "small", std::string(30'000, 's'));
  const pid_t worker = server.worker_pids().at(0);

  HttpClient other{server.port()};
  ASSERT_EQ(other.get("/small").status, 200);
  const std::size_t sockets = open_sockets(worker);

  HttpClient stuck{server.port()};
  stuck.send(requests);
  ASSERT_TRUE(stuck.readable(Deadline::in(kPatience)));
  ASSERT_TRUE(eventually([&] {
    EXPECT_EQ(other.get("/small").status, 200);
    return open_sockets(worker) == sockets;
  }));
  const End end = stuck.receive_rest().end;
  EXPECT_TRUE(end == End::cut || end == End::reset) << end;
}

TEST(Connection, is_cut_when_its_client_stops_reading_a_file) {
  expect_cut_while_others_are_served(get_request("/large"));
}

TEST(Connection, is_cut_when_its_client_stops_reading_answers) {
  std::string requests;
  for (int i = 0; i < 500; ++i) requests += get_request("/small");
  expect_cut_while_others_are_served(requests);
}

// --- ends ---

TEST(Connection, ends_with_its_answer_though_more_data_is_on_the_way) {
  const HttpServer server;
  const std::string junk(4 << 20, 'j');
  for (const std::string& request :
       {std::string{"nonsense\r\n\r\n"}, post("Content-Length: 1000000000\r\n"),
        post("Expect: 100-continue\r\nContent-Length: 1000000\r\n")}) {
    HttpClient client{server.port()};
    client.send(request + junk);
    client.finish();
    const Received received = client.receive_rest();
    EXPECT_EQ(received.answers.size(), 1u);
    EXPECT_EQ(received.end, End::closed);
  }
}

TEST(Connection, that_its_client_half_closed_is_answered) {
  const HttpServer server;
  write_file(server.root() / "large", std::string(8 << 20, 'l'));
  HttpClient client{server.port()};
  client.send(get_request("/large") + get_request("/large"));
  client.finish();
  const Received received = client.receive_rest();
  EXPECT_EQ(received.statuses(), (std::vector{200, 200}));
  EXPECT_EQ(received.end, End::closed);
}

TEST(Connection, that_ends_within_a_head_has_no_answer) {
  const HttpServer server;
  HttpClient client{server.port()};
  client.send("GET / HT");
  client.finish();
  const Received received = client.receive_rest();
  EXPECT_TRUE(received.answers.empty());
  EXPECT_EQ(received.end, End::closed);
}

TEST(Connection, that_ends_within_a_body_is_told_so) {
  const HttpServer server;
  HttpClient client{server.port()};
  client.send(post("Content-Length: 10\r\n", "12345"));
  client.finish();
  EXPECT_EQ(client.receive_rest().statuses(), std::vector{400});
}

TEST(Connection, leaves_nothing_in_the_worker_however_it_ends) {
  const HttpServer server{{.arguments = {"--workers", "1"}}};
  write_file(server.root() / "large", std::string(8 << 20, 'l'));
  const pid_t worker = server.worker_pids().at(0);
  const std::size_t sockets = open_sockets(worker);
  const std::vector<std::string> bytes{"",
                                       "GET",
                                       get_request("/"),
                                       get_request("/large"),
                                       post("Content-Length: 5\r\n"),
                                       "nonsense\r\n",
                                       get_request("/large") + get_request("/large"),
                                       post("Transfer-Encoding: chunked\r\n", "5\r\n12")};
  for (const std::string& text : bytes) {
    for (const bool reset : {false, true}) {
      const HttpClient client{server.port()};
      HttpClient{server.port()}.send(text);
      if (reset) {
        const linger at_once{.l_onoff = 1, .l_linger = 0};
        ::setsockopt(client.fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
      }
    }
  }
  EXPECT_TRUE(eventually([&] { return open_sockets(worker) == sockets; }));
  EXPECT_EQ(HttpClient{server.port()}.get("/large").status, 200);
  EXPECT_EQ(server.worker_pids(), std::vector{worker});
}

}  // namespace
}  // namespace procpool::test
