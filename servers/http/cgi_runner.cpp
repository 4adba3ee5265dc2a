#include "servers/http/cgi_runner.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "ipc/base/io.hpp"
#include "servers/http/detail/grammar.hpp"
#include "servers/net/wait.hpp"

namespace procpool::http {
namespace {

using namespace std::chrono_literals;
using proc::Redirection;

// Between the end of the output and that of the program, which a signal may have brought about.
constexpr auto kPatienceWithEnd = 1s;

constexpr std::size_t kLongestLine = 1000;

// For a terminal that shows the log.
void make_printable(std::string& line) {
  std::replace_if(line.begin(), line.end(), [](char c) { return is_control(c) && c != '\t'; }, '?');
}

// Bytes that were read; -1: there are none yet.
ssize_t read_now(int fd, std::span<char> buffer) {
  const ssize_t n = retry_eintr([&] { return ::read(fd, buffer.data(), buffer.size()); });
  if (n < 0 && errno != EAGAIN) throw_errno("read", "output of a program");
  return n;
}

UniqueFd take_pipe(proc::Process& process, int target) {
  UniqueFd pipe = std::move(process.pipe(target));
  set_blocking(pipe.fd(), Blocking::no);
  return pipe;
}

}  // namespace

CgiProgram::CgiProgram(CgiRunner& runner, proc::Process process, std::string name)
    : runner_{runner},
      process_{std::move(process)},
      output_{take_pipe(process_, STDOUT_FILENO)},
      name_{std::move(name)} {
  ++runner_.running_;
}

CgiProgram::~CgiProgram() {
  process_.signal(SIGKILL, proc::Recipient::group);
  runner_.tasks_.spawn(runner_.bury(std::move(process_)));
}

net::Task<std::size_t> CgiProgram::read(std::span<char> buffer, Deadline deadline) {
  for (;;) {
    const ssize_t n = read_now(output_.fd(), buffer);
    if (n >= 0) co_return static_cast<std::size_t>(n);
    if (!co_await net::ready(runner_.loop_, output_.fd(), Interest::read, deadline))
      throw CgiTimeout{name_};
  }
}

net::Task<> CgiProgram::expect_good_end() {
  co_await net::ready(runner_.loop_, process_.fd(), Interest::read, Deadline::in(kPatienceWithEnd));
  const auto status = process_.peek();
  if (status && status->signal()) throw Error{"run", name_, "it was " + status->text()};
}

CgiRunner::CgiRunner(Loop& loop, Report report, CgiLimits limits)
    : loop_{loop}, report_{std::move(report)}, limits_{limits}, tasks_{[this](std::exception_ptr) {
        report_("a program could not be followed to its end");
      }} {}

std::unique_ptr<CgiProgram> CgiRunner::start(const Order& order) {
  if (running_ == limits_.programs) return nullptr;
  const std::filesystem::path file{order.file};
  proc::Process process = proc::Process::spawn(
      {order.file},
      {.name = file.filename(),
       .die_with_parent = true,
       .process_group = proc::ProcessGroup::own,
       .no_new_privs = true,  // or it might become one that we may not kill
       .working_directory = file.parent_path(),
       .redirections = {order.input.valid() ? Redirection::fd(STDIN_FILENO, order.input.fd())
                                            : Redirection::null(STDIN_FILENO),
                        Redirection::pipe_from(STDOUT_FILENO),
                        Redirection::pipe_from(STDERR_FILENO)},
       .keep_only = std::vector<int>{},
       .environment = order.environment});
  tasks_.spawn(report_errors(take_pipe(process, STDERR_FILENO), order.file));
  return std::unique_ptr<CgiProgram>{new CgiProgram{*this, std::move(process), order.file}};
}

// What is left of its group is killed while its leader is not reaped: by then the group's number
// may be another's.
net::Task<> CgiRunner::bury(proc::Process process) {
  const auto leave = [this](const proc::Process*) { --running_; };
  const std::unique_ptr<const proc::Process, decltype(leave)> place{&process, leave};
  co_await net::ready(loop_, process.fd(), Interest::read, Deadline::never());
  process.signal(SIGKILL, proc::Recipient::group);
  process.wait();
}

// Reads to the end, whatever is reported: a program must not wait for its log.
net::Task<> CgiRunner::report_errors(UniqueFd pipe, std::string name) {
  std::array<char, 4096> buffer;
  std::string line;
  int lines = 0;
  const auto report_line = [&] {
    if (line.empty() || ++lines > kMostLines) return line.clear();
    make_printable(line);
    report_(name + ": " + line);
    if (lines == kMostLines) report_(name + ": what it writes further is not logged");
    line.clear();
  };
  for (;;) {
    co_await net::ready(loop_, pipe.fd(), Interest::read, Deadline::never());
    const ssize_t n = read_now(pipe.fd(), buffer);
    if (n == 0) break;
    for (const char c :
         std::string_view{buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(n, 0))}) {
      if (c == '\n') {
        report_line();
      } else if (line.size() < kLongestLine) {
        line.push_back(c);
      }
    }
  }
  report_line();
}

}  // namespace procpool::http
