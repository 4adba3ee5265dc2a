// Server-Sent Events: a count that goes on where a client was cut off.
//
//   example-events 127.0.0.1:8000 &
//   curl -N http://127.0.0.1:8000/count                  # or in a browser, http://127.0.0.1:8000/
#include <chrono>
#include <iostream>
#include <string>

#include "servers/http/server.hpp"
#include "servers/net/wait.hpp"

using namespace procpool;
using namespace std::chrono_literals;

constexpr auto kPage = R"(<!DOCTYPE html><meta charset="utf-8"><title>count</title><output></output>
<script>
new EventSource("/count").onmessage = e => document.querySelector("output").value = e.data;
</script>
)";

net::Generator<http::Event> count(Loop& loop, int next) {
  for (;; ++next) {
    const std::string number = std::to_string(next);
    co_yield http::Event{number, number};
    co_await net::sleep_until(loop, Deadline::in(100ms));
  }
}

http::Response begin_count(http::Context& context) {
  const auto last = context.request().field("last-event-id");
  return http::events(count(context.loop(), last ? std::stoi(std::string{*last}) + 1 : 0));
}

int main(int argc, char** argv) {
  http::Server server;
  server.get("/", [](const http::Request&) { return http::html(kPage); });
  server.get("/count", begin_count);

  const auto address = net::Address::parse(argc > 1 ? argv[1] : "127.0.0.1:8000");
  return server.run({.service = {.listen = {address}}, .on_serving = [](const auto& at) {
                       std::cout << "http://" << at.front().text() << std::endl;
                     }});
}
