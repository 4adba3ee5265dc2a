#include "tests/support/server_program.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "tests/support/children.hpp"

namespace procpool::test {
namespace {

using proc::Redirection;

constexpr auto kErrorFile = "stderr";

proc::Process start(const std::vector<std::string>& argv, proc::ChildOptions& child,
                    const std::filesystem::path& folder) {
  std::filesystem::permissions(folder, std::filesystem::perms{0755});  // its children may be nobody
  child.name = std::filesystem::path{argv.front()}.filename();
  child.die_with_parent = true;
  child.redirections = {
      Redirection::null(0), Redirection::pipe_from(1),
      Redirection::file(2, folder / kErrorFile, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND)};
  return proc::Process::spawn(argv, child);
}

// What is there now; empty also at the end.
std::string read_available(int fd) {
  std::string text;
  std::array<char, 4096> buffer;
  while (wait_ready(fd, POLLIN, Deadline::now()) != 0) {
    const ssize_t n = retry_eintr([&] { return ::read(fd, buffer.data(), buffer.size()); });
    if (n <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return text;
}

}  // namespace

ServerProgram::ServerProgram(const Argv& argv, std::size_t addresses, proc::ChildOptions child)
    : program_{argv(folder_.path()).front()},
      process_{start(argv(folder_.path()), child, folder_.path())} {
  while (urls_.size() < addresses) {
    constexpr std::string_view kAnnouncement = " is listening on ";
    const std::string line = read_line();
    const auto at = line.find(kAnnouncement);
    if (at == line.npos) throw std::runtime_error{"unexpected: " + line};
    urls_.push_back(line.substr(at + kAnnouncement.size()));
  }
}

ServerProgram::~ServerProgram() {
  stop(SIGINT);
}

std::string ServerProgram::read_line() {
  const int fd = process_.pipe(1).fd();
  const auto patience = Deadline::in(kPatience);
  for (;;) {
    if (const auto end = unread_.find('\n'); end != std::string::npos) {
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return line;
    }
    if (wait_ready(fd, POLLIN, patience) == 0) throw std::runtime_error{"it does not serve"};
    const std::string more = read_available(fd);
    if (more.empty()) {
      throw Error{"start", program_, process_.wait().text() + ": " + errors()};
    }
    unread_ += more;
  }
}

std::uint16_t ServerProgram::port_of(std::size_t listener) const {
  const std::string& url = urls_.at(listener);
  return static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
}

std::vector<pid_t> ServerProgram::worker_pids() const {
  std::vector<pid_t> pids;
  for (const Child& child : list_children(pid())) {
    if (child.state != 'Z') pids.push_back(child.pid);
  }
  return pids;
}

std::string ServerProgram::errors() const {
  return read_file(folder() / kErrorFile);
}

bool ServerProgram::await_error(const std::string& text) const {
  return eventually([&] { return errors().find(text) != std::string::npos; });
}

std::string ServerProgram::output() {
  return std::exchange(unread_, {}) + read_available(process_.pipe(1).fd());
}

proc::ExitStatus ServerProgram::stop(int signal_number) {
  // Not by Process::stop(): its SIGCONT takes back the stop by which LeakSanitizer's tracer wants
  // to catch a process at its exit, and the tracer waits for ever.
  process_.signal(signal_number);
  if (!process_.wait_for(kPatience)) process_.signal(SIGKILL);
  return process_.wait();
}

// A client that fetches a tree takes longer than a single wait; the watchdog comes after it.
constexpr std::chrono::seconds kLongestRun{50};

ProgramRun run_program(const std::vector<std::string>& argv, proc::ChildOptions options,
                       const std::string& input) {
  const TempDir folder;
  options.die_with_parent = true;
  std::ofstream{folder.path() / "in"} << input;
  options.redirections = {Redirection::file(0, folder.path() / "in", O_RDONLY),
                          Redirection::file(1, folder.path() / "out"),
                          Redirection::file(2, folder.path() / "err")};
  auto process = proc::Process::spawn(argv, options);
  if (!process.wait_for(kLongestRun)) process.signal(SIGKILL);
  return {.status = process.wait(),
          .output = read_file(folder.path() / "out"),
          .errors = read_file(folder.path() / "err")};
}

}  // namespace procpool::test
