// http::Server over real connections, in a master and its workers.
#include "servers/http/server.hpp"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/io.hpp"
#include "ipc/event.hpp"
#include "ipc/pipe.hpp"
#include "ipc/shared.hpp"
#include "servers/models/error_log.hpp"
#include "servers/net/wait.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::test {
namespace {

using namespace std::chrono_literals;
using http::Context;
using http::Event;
using http::Request;
using http::Response;

// What all processes of a test see.
struct Board {
  std::atomic<int> pieces = 0;   // that generators have yielded
  std::atomic<int> gone = 0;     // generators, and coroutines that waited, that were destroyed
  std::atomic<int> calls = 0;    // of tasks
  std::atomic<int> waiting = 0;  // tasks that wait for the gate
  ipc::Event gate;
};
Board* board = nullptr;

struct SayGone {
  SayGone() = default;
  SayGone(const SayGone&) = delete;
  SayGone& operator=(const SayGone&) = delete;
  ~SayGone() { ++board->gone; }
};

class Serves : public testing::Test {
 protected:
  Serves() { board = &*shared_; }
  ~Serves() override {
    if (!child_) return;
    child_->kill(SIGINT);
    EXPECT_EQ(child_->wait(), exited(0)) << errors();
  }

  void start(http::ServerOptions options = {}) {
    auto [reader, writer] = ipc::make_pipe();
    const std::string log = folder_.path() / "errors";
    options.service.listen = {net::Address::parse("127.0.0.1:0")};
    options.service.make_logger = [log] { return models::make_error_log("test", log); };
    options.on_serving = [&](const std::vector<net::Address>& addresses) {
      const std::uint16_t port = addresses.front().port();
      write_full(writer.fd(), std::as_bytes(std::span{&port, 1}), "port");
    };
    child_.emplace([&] { return server_.run(options); });
    ASSERT_NE(wait_ready(reader.fd(), POLLIN, Deadline::in(kPatience)), 0);
    read_full(reader.fd(), std::as_writable_bytes(std::span{&port_, 1}), "port");
  }

  HttpClient client() const { return HttpClient{port_}; }
  Answer get(std::string_view target) const { return client().get(target); }
  Answer ask(const std::string& request, To to = To::get) const {
    HttpClient one = client();
    one.send(request);
    return one.receive(to);
  }
  std::string errors() const { return read_file(folder_.path() / "errors"); }

  TempDir folder_;
  ipc::Shared<Board> shared_;
  http::Server server_;
  std::optional<Forked> child_;
  std::uint16_t port_ = 0;
};

std::string with_length(std::string_view method, std::string_view target, std::string_view body) {
  return request(method, target, "Content-Length: " + std::to_string(body.size()) + "\r\n", body);
}

TEST_F(Serves, functions_by_method_and_path) {
  server_.get("/hello", [](const Request&) { return http::text("hi"); })
      .get("/users/{id}", [](Context& c) { return http::json("\"" + c.parameter("id") + "\""); })
      .put("/users/{id}", [](Context&) { return http::no_content(); })
      .get("/search", [](Context& c) { return http::html(c.query("q").value_or("none")); })
      .get("/who", [](Context& c) { return http::text(std::string{c.client()}); });
  start();
  HttpClient one = client();
  const Answer hello = one.get("/hello");
  EXPECT_EQ(hello.status, 200);
  EXPECT_EQ(hello.body, "hi");
  EXPECT_EQ(hello.field("content-type"), "text/plain; charset=utf-8");
  EXPECT_EQ(hello.field("content-length"), "2");
  EXPECT_EQ(one.get("/users/a%20b").body, "\"a b\"");
  EXPECT_EQ(one.get("/search?q=a+%26&q=b").body, "a &");
  EXPECT_EQ(one.get("/search").body, "none");
  EXPECT_EQ(one.get("/who").body, "127.0.0.1");
  one.send(request("HEAD", "/users/1"));
  EXPECT_EQ(one.receive(To::head).field("content-length"), "3");
  one.send(with_length("PUT", "/users/1", "body"));
  EXPECT_EQ(one.receive().status, 204);
}

TEST_F(Serves, what_is_not_there_with_the_right_status) {
  server_.get("/a", [](const Request&) { return http::text("a"); }).delete_("/a", [](Context&) {
    return http::no_content();
  });
  start();
  HttpClient one = client();
  EXPECT_EQ(one.get("/b").status, 404);
  EXPECT_EQ(one.get("/%zz").status, 400);
  one.send(with_length("POST", "/a", "dropped"));
  const Answer refused = one.receive();
  EXPECT_EQ(refused.status, 405);
  EXPECT_EQ(refused.field("allow"), "GET, HEAD, DELETE, OPTIONS");
  one.send(request("OPTIONS", "/a"));
  const Answer options = one.receive();
  EXPECT_EQ(options.status, 204);
  EXPECT_EQ(options.field("allow"), "GET, HEAD, DELETE, OPTIONS");
  one.send(request("OPTIONS", "*"));
  EXPECT_EQ(one.receive().status, 204);
  EXPECT_EQ(one.get("/a").body, "a");
}

TEST_F(Serves, handlers_with_the_body_of_a_request) {
  server_.post("/echo", [](Context& c) { return http::text(c.body().text()); })
      .post("/form", [](Context& c) {
        return http::text(http::find_field(c.form(), "name").value_or("none"));
      });
  start({.limits = {.max_body = 300'000}});
  HttpClient one = client();
  for (const std::size_t size : {std::size_t{0}, std::size_t{5}, std::size_t{300'000}}) {
    const std::string body(size, 'x');
    one.send(with_length("POST", "/echo", body));
    EXPECT_TRUE(one.receive().body == body) << size;
  }
  one.send(request("POST", "/echo", "Transfer-Encoding: chunked\r\n",
                   "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"));
  EXPECT_EQ(one.receive().body, "abcde");
  one.send(request("POST", "/echo", "Content-Length: 2\r\nExpect: 100-continue\r\n"));
  EXPECT_EQ(one.receive().status, 100);
  one.send("ok");
  EXPECT_EQ(one.receive().body, "ok");
  one.send(with_length("POST", "/form", "a=b&name=Ada+Lovelace"));
  EXPECT_EQ(one.receive().body, "Ada Lovelace");
  EXPECT_EQ(ask(request("POST", "/echo", "Content-Length: 300001\r\n")).status, 413);
}

TEST_F(Serves, others_when_a_handler_throws) {
  server_.get("/now", [](const Request&) -> Response { throw std::runtime_error{"not now"}; })
      .get("/soon", [](Context&) -> Response { throw std::runtime_error{"not soon"}; })
      .get("/later",
           [](Context& c) -> net::Task<Response> {
             co_await net::sleep_until(c.loop(), Deadline::in(1ms));
             throw std::runtime_error{"not later"};
           })
      .get("/field",
           [](Context& c) { return http::text("x").with("X-A", c.query("value").value_or("")); })
      .get("/good", [](const Request&) { return http::text("good"); });
  start();
  HttpClient one = client();
  for (const char* target : {"/now", "/soon", "/later", "/field?value=a%0d%0aSet-Cookie:+b"})
    EXPECT_EQ(one.get(target).status, 500) << target;
  EXPECT_EQ(one.get("/good").body, "good");
  EXPECT_EQ(one.get("/field?value=b").field("x-a"), "b");
  for (const char* reason : {"/now: not now", "/soon: not soon", "/later: not later"})
    EXPECT_NE(errors().find(reason), std::string::npos) << reason;
}

TEST_F(Serves, files_with_conditions_and_ranges) {
  const std::string path = folder_.path() / "file.txt";
  std::ofstream{path} << "0123456789";
  server_.get("/file", [path](const Request&) { return http::file(path).with("X-A", "b"); })
      .get("/none", [path](const Request&) { return http::file(path + ".none"); });
  start();
  HttpClient one = client();
  const Answer whole = one.get("/file");
  EXPECT_EQ(whole.body, "0123456789");
  EXPECT_EQ(whole.field("content-type"), "text/plain; charset=utf-8");
  EXPECT_EQ(whole.field("x-a"), "b");
  one.send(get_request("/file", "Range: bytes=2-4\r\n"));
  const Answer part = one.receive();
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.body, "234");
  one.send(get_request("/file", "If-None-Match: " + whole.field("etag").value() + "\r\n"));
  EXPECT_EQ(one.receive().status, 304);
  EXPECT_EQ(one.get("/none").status, 404);
}

// What comes, frames of chunks included, until `last` is in it.
std::string read_until(const HttpClient& client, std::string_view last) {
  std::string all;
  while (all.find(last) == all.npos && client.readable(Deadline::in(kPatience))) {
    std::array<char, 4096> buffer;
    const ssize_t n = ::read(client.fd(), buffer.data(), buffer.size());
    if (n <= 0) break;
    all.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return all;
}

net::Generator<std::string> numbers(Loop& loop, int end) {
  for (int i = 0; i < end; ++i) {
    co_await net::sleep_until(loop, Deadline::in(1ms));
    co_yield std::to_string(i) + "\n";
  }
}

net::Generator<std::string> megabytes() {
  const SayGone at_end;
  for (;;) {
    ++board->pieces;
    co_yield std::string(1'000'000, 'x');
  }
}

net::Generator<std::string> nothing_ever(Loop& loop) {
  const SayGone at_end;
  co_yield "begin\n";
  co_await net::sleep_until(loop, Deadline::never());
}

net::Generator<std::string> breaks_off() {
  co_yield "begin\n";
  throw std::runtime_error{"broken off"};
}

TEST_F(Serves, streams_in_chunks_or_to_the_end_of_the_connection) {
  server_.get("/numbers",
              [](Context& c) { return http::stream("text/plain", numbers(c.loop(), 5)); });
  start();
  HttpClient one = client();
  const Answer chunked = one.get("/numbers");
  EXPECT_EQ(chunked.body, "0\n1\n2\n3\n4\n");
  EXPECT_EQ(chunked.field("transfer-encoding"), "chunked");
  one.send(request("HEAD", "/numbers"));
  EXPECT_EQ(one.receive(To::head).status, 200);
  EXPECT_EQ(one.get("/numbers").body, "0\n1\n2\n3\n4\n");
  one.send("GET /numbers HTTP/1.0\r\n\r\n");
  const std::string old = read_until(one, "never");
  EXPECT_EQ(old.find("Transfer-Encoding"), old.npos);
  EXPECT_TRUE(old.ends_with("\r\n\r\n0\n1\n2\n3\n4\n")) << old;
}

TEST_F(Serves, a_stream_no_faster_than_it_is_read) {
  server_.get("/stream", [](const Request&) { return http::stream("text/plain", megabytes()); })
      .get("/pieces", [](const Request&) { return http::text(std::to_string(board->pieces)); });
  start();
  HttpClient slow = client();
  slow.send(get_request("/stream"));
  ASSERT_TRUE(slow.readable(Deadline::in(kPatience)));
  for (int i = 0; i < 100; ++i) EXPECT_LT(std::stoi(get("/pieces").body), 64);
}

TEST_F(Serves, nothing_to_a_client_that_has_left) {
  server_.get("/stream", [](const Request&) { return http::stream("text/plain", megabytes()); })
      .get("/silence",
           [](Context& c) { return http::stream("text/plain", nothing_ever(c.loop())); })
      .get("/wait", [](Context& c) -> net::Task<Response> {
        const SayGone at_end;
        ++board->waiting;
        co_await net::sleep_until(c.loop(), Deadline::never());
        co_return http::text("never");
      });
  start();
  int gone = 0;
  for (const char* target : {"/stream", "/silence"}) {
    {
      HttpClient one = client();
      one.send(get_request(target));
      ASSERT_TRUE(one.readable(Deadline::in(kPatience))) << target;
    }
    ++gone;
    EXPECT_TRUE(eventually([&] { return board->gone == gone; })) << target;
  }
  {
    HttpClient one = client();
    one.send(get_request("/wait"));
    ASSERT_TRUE(eventually([&] { return board->waiting == 1; }));
  }
  EXPECT_TRUE(eventually([&] { return board->gone == 3; }));
}

TEST_F(Serves, and_logs_what_was_asked_by_a_client_that_has_left) {
  server_
      .get("/silence",
           [](Context& c) { return http::stream("text/plain", nothing_ever(c.loop())); })
      .get("/wait", [](Context& c) -> net::Task<Response> {
        ++board->waiting;
        co_await net::sleep_until(c.loop(), Deadline::never());
        co_return http::text("never");
      });
  const std::string log = folder_.path() / "access";
  start({.access_log = {.path = log}});
  const auto logged = [&](const std::string& text) {
    return eventually([&] { return read_file(log).find(text) != std::string::npos; });
  };
  {
    HttpClient before = client();
    before.send(get_request("/wait"));
    ASSERT_TRUE(eventually([] { return board->waiting == 1; }));
  }
  EXPECT_TRUE(logged("\"GET /wait HTTP/1.1\" 499 0 ")) << read_file(log);
  {
    HttpClient within = client();
    within.send(get_request("/silence"));
    ASSERT_TRUE(within.readable(Deadline::in(kPatience)));
  }
  EXPECT_TRUE(logged("\"GET /silence HTTP/1.1\" 200 ")) << read_file(log);
}

TEST_F(Serves, half_a_stream_that_is_seen_to_be_half) {
  server_.get("/half", [](const Request&) { return http::stream("text/plain", breaks_off()); })
      .get("/good", [](const Request&) { return http::text("good"); });
  start();
  HttpClient one = client();
  one.send(get_request("/half"));
  EXPECT_EQ(one.receive_rest().end, End::cut);
  EXPECT_EQ(get("/good").body, "good");
  EXPECT_NE(errors().find("/half: broken off"), std::string::npos);
}

net::Generator<Event> count_from(Context& context, int next, int end) {
  const SayGone at_end;
  for (; next < end; ++next) {
    const std::string number = std::to_string(next);
    co_yield Event{number, number};
  }
  while (true) co_await net::sleep_until(context.loop(), Deadline::in(1h));
}

TEST_F(Serves, events_as_they_happen) {
  server_.get("/events", [](Context& c) {
    const auto last = c.request().field("last-event-id");
    const int next = last ? std::stoi(std::string{*last}) + 1 : 0;
    return http::events(count_from(c, next, 3), 5ms);
  });
  start();
  {
    HttpClient one = client();
    one.send(get_request("/events"));
    const std::string text = read_until(one, ":\n\n");  // silence follows, and comments in it
    EXPECT_NE(text.find("Content-Type: text/event-stream\r\n"), text.npos);
    EXPECT_NE(text.find("Cache-Control: no-cache\r\n"), text.npos);
    EXPECT_NE(text.find("id: 0\ndata: 0\n\n"), text.npos) << text;
    EXPECT_NE(text.find("id: 2\ndata: 2\n\n"), text.npos) << text;
  }
  EXPECT_TRUE(eventually([] { return board->gone == 1; })) << "it does not know that one has left";
  HttpClient again = client();
  again.send(get_request("/events", "Last-Event-ID: 1\r\n"));
  const std::string rest = read_until(again, ":\n\n");
  EXPECT_EQ(rest.find("data: 1\n"), rest.npos);
  EXPECT_NE(rest.find("data: 2\n"), rest.npos);
}

TEST_F(Serves, events_until_its_worker_drains) {
  server_.get("/events", [](Context& c) { return http::events(count_from(c, 0, 1), 1h); })
      .get("/pid", [](const Request&) { return http::text(std::to_string(::getpid())); });
  start();
  const std::string pid = get("/pid").body;
  HttpClient one = client();
  one.send(get_request("/events"));
  ASSERT_NE(read_until(one, "data: 0\n\n").find("data: 0"), std::string::npos);
  child_->kill(SIGHUP);
  EXPECT_NE(read_until(one, "0\r\n\r\n").find("0\r\n\r\n"), std::string::npos);
  EXPECT_TRUE(eventually([&] { return get("/pid").body != pid; }));
  EXPECT_NE(one.get("/pid").body, pid) << "the connection was not handed over";
}

int add_up(const std::string& numbers) {
  return static_cast<int>(numbers.size());
}
int wait_for_gate() {
  ++board->waiting;
  board->gate.wait();
  return ++board->calls;
}
int die() {
  ::raise(SIGKILL);
  return 0;
}
int fail() {
  throw std::runtime_error{"the task has failed"};
}
int hang() {
  for (;;) ::pause();
}

template <typename Call>
auto by_pool(Call call) {
  return [call](Context& c) -> net::Task<Response> {
    co_return http::text(std::to_string(co_await call(c.pool())));
  };
}

class ServesByPool : public Serves {
 protected:
  ServesByPool() {
    server_.get("/hello", [](const Request&) { return http::text("hi"); })
        .post("/sum",
              [](Context& c) -> net::Task<Response> {
                const int sum = co_await c.pool().call(&add_up, c.body().text());
                co_return http::text(std::to_string(sum));
              })
        .get("/gate", by_pool([](models::TaskPool& p) { return p.call(&wait_for_gate); }))
        .get("/die", by_pool([](models::TaskPool& p) { return p.call(&die); }))
        .get("/fail", by_pool([](models::TaskPool& p) { return p.call(&fail); }))
        .get("/hang",
             by_pool([](models::TaskPool& p) { return p.call({.deadline = 10ms}, &hang); }))
        .get("/unsettled",
             [](Context& c) { return http::text(std::to_string(c.pool().pool().unsettled())); });
    start({.pool = proc::PoolOptions{.workers = 1}});
  }
};

TEST_F(ServesByPool, what_its_processes_make) {
  HttpClient one = client();
  for (const std::size_t size : {std::size_t{3}, std::size_t{200'000}}) {
    one.send(with_length("POST", "/sum", std::string(size, 'x')));
    EXPECT_EQ(one.receive().body, std::to_string(size));
  }
}

TEST_F(ServesByPool, others_while_they_work) {
  HttpClient one = client();
  one.send(get_request("/gate"));
  ASSERT_TRUE(eventually([] { return board->waiting == 1; }));
  EXPECT_EQ(get("/hello").body, "hi");
  EXPECT_FALSE(one.readable(Deadline::now()));
  board->gate.set();
  EXPECT_EQ(one.receive().body, "1");
}

TEST_F(ServesByPool, an_error_to_one_when_a_task_fails) {
  HttpClient one = client();
  EXPECT_EQ(one.get("/die").status, 500);
  EXPECT_EQ(one.get("/fail").status, 500);
  EXPECT_EQ(one.get("/hang").status, 504);
  EXPECT_EQ(one.get("/hello").body, "hi");
  one.send(with_length("POST", "/sum", "xy"));
  EXPECT_EQ(one.receive().body, "2");
  EXPECT_NE(errors().find("killed by SIGKILL"), std::string::npos);
  EXPECT_NE(errors().find("the task has failed"), std::string::npos);
}

TEST_F(ServesByPool, nobody_who_has_left) {
  HttpClient first = client();
  first.send(get_request("/gate"));
  ASSERT_TRUE(eventually([] { return board->waiting == 1; }));
  {
    HttpClient second = client();
    second.send(get_request("/gate"));
    ASSERT_TRUE(eventually([&] { return get("/unsettled").body == "2"; }));
  }
  EXPECT_TRUE(eventually([&] { return get("/unsettled").body == "1"; }));
  board->gate.set();
  EXPECT_EQ(first.receive().body, "1");
  EXPECT_EQ(get("/gate").body, "2") << "what nobody waits for was done";
}

TEST_F(Serves, no_pool_that_was_not_asked_for) {
  server_.get("/sum", by_pool([](models::TaskPool& p) { return p.call(&add_up, "x"); }));
  start();
  EXPECT_EQ(get("/sum").status, 500);
  EXPECT_NE(errors().find("the server was given none"), std::string::npos);
}

}  // namespace
}  // namespace procpool::test
