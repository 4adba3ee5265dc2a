// As procpool-httpd, but no worker of it can ever start.
#include <stdexcept>
#include <utility>
#include <vector>

#include "servers/http/options.hpp"
#include "servers/models/error_log.hpp"
#include "servers/models/prefork.hpp"
#include "servers/program/serve.hpp"

using namespace procpool;

int main(int argc, char** argv) {
  return program::run_program("barren-httpd", argc, argv, [&](program::Start& start) {
    const http::CommandLine command_line = http::parse_command_line(argc, argv);
    const http::Options options = http::load_options(program::to_begin_with(command_line, start));
    models::Service service{.workers = 2};
    for (const std::string& text : options.listen)
      service.listen.push_back(net::Address::parse(text));
    service.make_logger = [] { return models::make_error_log("barren-httpd", "-"); };
    service.make_handler = [](models::Worker&) -> models::Handler {
      throw std::runtime_error{"there is nothing to serve"};
    };
    return program::serve(start,
                          program::Task<models::Service>{.pid_file = options.pid_file,
                                                         .command_line = command_line,
                                                         .service = service,
                                                         .reload = [&] { return service; },
                                                         .announce = [](const auto&) {}},
                          [](auto... parts) { return models::Prefork{std::move(parts)...}.run(); });
  });
}
