// A server with routes, parameters and forms:
//
//   example-hello 127.0.0.1:8000 &
//   curl http://127.0.0.1:8000/hello/Ada
//   curl -d 'a=1&a=2&b=3' http://127.0.0.1:8000/form
#include <iostream>
#include <string>

#include "servers/http/server.hpp"

using namespace procpool;

http::Response greet(http::Context& context) {
  const std::string greeting = context.query("greeting").value_or("Hello");
  return http::text(greeting + ", " + context.parameter("name") + "!\n");
}

http::Response show_form(http::Context& context) {
  std::string text;
  for (const auto& [name, value] : context.form()) text.append(name + " is " + value + "\n");
  return http::text(text).with("Cache-Control", "no-store");
}

int main(int argc, char** argv) {
  http::Server server;
  server.get("/", [](const http::Request&) { return http::redirect("/hello/world"); });
  server.get("/hello/{name}", greet);
  server.post("/form", show_form);

  const auto address = net::Address::parse(argc > 1 ? argv[1] : "127.0.0.1:8000");
  return server.run(
      {.service = {.listen = {address}, .workers = 2}, .on_serving = [](const auto& at) {
         std::cout << "http://" << at.front().text() << std::endl;
       }});
}
