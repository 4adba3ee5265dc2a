// The examples do what their first lines promise, asked by curl.
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/io.hpp"
#include "proc/process.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http_server.hpp"

namespace procpool::test {
namespace {

using proc::Redirection;

class Example {
 public:
  explicit Example(const std::string& name)
      : process_{proc::Process::spawn(
            {std::string{PROCPOOL_PROGRAMS} + "/example-" + name, "127.0.0.1:0"},
            {.name = name, .die_with_parent = true, .redirections = {Redirection::pipe_from(1)}})} {
    const int out = process_.pipe(1).fd();
    for (char c = '\0'; c != '\n'; url_.push_back(c)) {
      if (wait_ready(out, POLLIN, Deadline::in(kPatience)) == 0 || ::read(out, &c, 1) != 1)
        throw std::runtime_error{name + " does not serve"};
    }
    url_.pop_back();
  }
  ~Example() {
    process_.signal(SIGTERM);
    EXPECT_EQ(process_.wait(), proc::ExitStatus::exited(0));
  }

  std::string curl(const std::string& path, std::vector<std::string> arguments = {}) const {
    arguments.insert(arguments.begin(), {"curl", "-sS", "--noproxy", "*", "--max-time", "40"});
    arguments.push_back(url_ + path);
    const HttpdRun run = run_program(arguments);
    return run.output + run.errors;
  }

  // Of the events, which have no end.
  std::string first_lines(const std::string& field) const {
    return run_program({"sh", "-c",
                        "curl -sSN --noproxy '*' --max-time 40 -H \"$1\" \"$0/count\" | head -n 5",
                        url_, field})
        .output;
  }

 private:
  proc::Process process_;
  std::string url_;
};

TEST(ExampleHello, greets_and_shows_forms) {
  const Example hello{"hello"};
  EXPECT_EQ(hello.curl("/hello/Ada"), "Hello, Ada!\n");
  EXPECT_EQ(hello.curl("/hello/Ada%20L?greeting=Salut"), "Salut, Ada L!\n");
  EXPECT_EQ(hello.curl("/", {"-L"}), "Hello, world!\n");
  EXPECT_EQ(hello.curl("/form", {"-d", "a=1&a=2&b=3"}), "a is 1\na is 2\nb is 3\n");
}

TEST(ExampleEvents, counts_and_goes_on_where_it_was) {
  const Example events{"events"};
  EXPECT_NE(events.curl("/").find("EventSource"), std::string::npos);
  EXPECT_TRUE(events.first_lines("").starts_with("id: 0\ndata: 0\n\nid: 1\n"));
  EXPECT_TRUE(events.first_lines("Last-Event-ID: 41").starts_with("id: 42\ndata: 42\n\n"));
}

TEST(ExamplePrimes, counts_them) {
  const Example primes{"primes"};
  EXPECT_EQ(primes.curl("/primes/100"), "{\"primes\": 25}\n");
  EXPECT_EQ(primes.curl("/primes/1000000"), "{\"primes\": 78498}\n");
  EXPECT_NE(primes.curl("/primes/many").find("400 Bad Request"), std::string::npos);
}

}  // namespace
}  // namespace procpool::test
