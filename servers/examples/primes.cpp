// Work that takes long, done by a pool of processes while the server answers others:
//
//   example-primes 127.0.0.1:8000 &
//   curl http://127.0.0.1:8000/primes/10000000
#include <chrono>
#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

#include "servers/http/server.hpp"

using namespace procpool;
using namespace std::chrono_literals;

std::uint64_t count_primes(std::uint64_t limit) {
  std::vector<bool> composite(limit + 1);
  std::uint64_t primes = 0;
  for (std::uint64_t n = 2; n <= limit; ++n) {
    if (composite[n]) continue;
    ++primes;
    for (std::uint64_t multiple = n * n; multiple <= limit; multiple += n)
      composite[multiple] = true;
  }
  return primes;
}

net::Task<http::Response> answer(http::Context& context) {
  constexpr std::uint64_t kMost = 100'000'000;
  const std::string& text = context.parameter("limit");
  if (text.size() > 9 || text.find_first_not_of("0123456789") != text.npos ||
      std::stoull(text) > kMost) {
    co_return http::error(http::Status::bad_request, "The limit is a number up to 100000000.");
  }
  const std::uint64_t limit = std::stoull(text);
  const std::uint64_t primes =
      co_await context.pool().call({.deadline = 30s}, &count_primes, limit);
  co_return http::json("{\"primes\": " + std::to_string(primes) + "}\n");
}

int main(int argc, char** argv) {
  http::Server server;
  server.get("/primes/{limit}", answer);

  const auto address = net::Address::parse(argc > 1 ? argv[1] : "127.0.0.1:8000");
  return server.run({.service = {.listen = {address}},
                     .pool = proc::PoolOptions{.workers = 2},
                     .on_serving = [](const auto& at) {
                       std::cout << "http://" << at.front().text() << std::endl;
                     }});
}
