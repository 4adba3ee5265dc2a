// A server as a user of servers writes it. It ends itself as soon as its workers serve.
#include <signal.h>

#include <array>
#include <chrono>

#include <procpool/servers/http/status.hpp>
#include <procpool/servers/models/error_log.hpp>
#include <procpool/servers/models/prefork.hpp>

using namespace procpool;
using namespace std::chrono_literals;

net::Task<> echo(net::Stream stream) {
  std::array<char, 4096> buffer;
  for (;;) {
    const net::IoResult got = co_await stream.read_some(buffer, Deadline::in(60s));
    if (got.failed() || got.bytes == 0) co_return;
    if ((co_await stream.write({buffer.data(), got.bytes}, Deadline::in(30s))).failed()) co_return;
  }
}

int main() {
  models::Service service{.listen = {net::Address::parse("127.0.0.1:0")}, .workers = 2};
  service.make_handler = [](models::Worker&) { return echo; };
  service.make_logger = [] { return models::make_error_log("echo", "-"); };
  const auto stop = [](const auto&) { ::raise(SIGTERM); };
  const int code =
      models::Prefork{service, {.reload = [&] { return service; }, .on_serving = stop}}.run();
  return code == 0 && http::reason_phrase(http::Status::ok) == "OK" ? 0 : 1;
}
