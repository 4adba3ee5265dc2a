#include "tools/ftp/client.hpp"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <filesystem>
#include <map>
#include <utility>

#include "ipc/base/io.hpp"
#include "servers/ftp/path.hpp"
#include "tools/ftp/failure.hpp"
#include "tools/ftp/names.hpp"
#include "tools/ftp/netrc.hpp"
#include "tools/terminal.hpp"
#include "tools/text.hpp"

namespace procpool::ftp_client {
namespace {

namespace fs = std::filesystem;
using demo::text;

// Nothing is seen of what is typed while this lives.
class NoEcho {
 public:
  explicit NoEcho(int terminal) : terminal_{terminal} {
    if (::tcgetattr(terminal, &former_) != 0) throw_errno("tcgetattr", "terminal");
    termios silent = former_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    if (::tcsetattr(terminal, TCSAFLUSH, &silent) != 0) throw_errno("tcsetattr", "terminal");
  }
  NoEcho(const NoEcho&) = delete;
  NoEcho& operator=(const NoEcho&) = delete;
  ~NoEcho() { ::tcsetattr(terminal_, TCSAFLUSH, &former_); }

 private:
  int terminal_;
  termios former_{};
};

std::string ask_password(const std::string& user, const std::string& host, Interrupts& interrupts) {
  const UniqueFd terminal{::open("/dev/tty", O_RDWR | O_CLOEXEC)};
  if (!terminal.valid())
    throw Failure{ExitCode::usage, "log in", printable(user + "@" + host),
                  "there is no password, and no terminal to ask for it"};
  const NoEcho silence{terminal.fd()};
  const Waiting waiting{std::chrono::milliseconds::max(), &interrupts};
  write_full(terminal.fd(), "Password of " + printable(user + "@" + host) + ": ", "terminal");
  std::string password;
  for (char c = 0; waiting.ready_by(terminal.fd(), POLLIN, Deadline::never()) &&
                   ::read(terminal.fd(), &c, 1) == 1 && c != '\n';)
    password.push_back(c);
  write_full(terminal.fd(), "\n", "terminal");
  return password;
}

std::optional<NetrcLogin> login_of_netrc(const ClientOptions& options, const std::string& host,
                                         const std::optional<std::string>& user) {
  std::string path = options.netrc;
  if (path.empty()) {
    const char* const home = ::getenv("HOME");
    if (home == nullptr) return std::nullopt;
    path = joined(home, ".netrc");
  }
  const auto netrc = read_netrc(path);
  if (netrc) return find_login(*netrc, host, user);
  if (!options.netrc.empty()) throw_errno("open", path, ENOENT);
  return std::nullopt;
}

// A name that a shell, or a file of the same name in it, would have.
std::string local_name_of(const std::string& remote) {
  const std::string name{ftp::name_of(remote)};
  if (!is_safe_name(name))
    throw Failure{ExitCode::usage, "get", printable(remote), "it needs another name here"};
  return name;
}

struct LocalFile {
  std::string folder;
  std::string name;
};

// A link is followed: what it leads to is replaced, and not the link.
LocalFile local_file(const std::string& path) {
  const fs::path real = fs::weakly_canonical(fs::absolute(path));
  return {.folder = real.parent_path(), .name = real.filename()};
}

}  // namespace

Login login_for(const Url& url, const ClientOptions& options, Interrupts& interrupts) {
  std::optional<std::string> user = url.user;
  std::optional<std::string> password = url.password;
  if (!options.user.empty()) {
    const auto colon = options.user.find(':');
    user = options.user.substr(0, colon);
    if (colon != options.user.npos) password = options.user.substr(colon + 1);
  }
  Login login{.host = url.host, .port = url.port};
  if (!password) {
    if (auto known = login_of_netrc(options, url.host, user)) {
      if (!user && !known->user.empty()) user = known->user;
      password = known->password;
      login.account = known->account.value_or("");
    }
  }
  if (!user || *user == "anonymous" || *user == "ftp") {
    login.user = user.value_or(login.user);
    login.password = password.value_or(login.password);
    return login;
  }
  login.user = *user;
  login.password = password ? *password : ask_password(*user, url.host, interrupts);
  return login;
}

Client::Client(ClientOptions options, Interrupts& interrupts)
    : options_{std::move(options)},
      interrupts_{interrupts},
      display_{options_.quiet ? ProgressDisplay::Talk::quiet : ProgressDisplay::Talk::normal} {}

void Client::open(const Url& url, const ClientOptions& options) {
  close();
  options_.session.text = options_.session.text || url.text;
  session_.emplace(login_for(url, options, interrupts_), options_.session, &interrupts_);
}

void Client::close() noexcept {
  if (session_) session_->quit();
  session_.reset();
}

Session& Client::session() {
  if (!session_) throw Failure{ExitCode::usage, "talk", {}, "not connected: open HOST does it"};
  return *session_;
}

void Client::run(const Order& order) {
  const Waiting waiting{options_.session.timeout, &interrupts_};
  const CrewReport report = do_jobs(session(), order, waiting, display_);
  if (report.failures.empty()) return;
  if (order.jobs.size() == 1 && report.first) std::rethrow_exception(report.first);
  for (const std::string& failure : report.failures)
    write_full(STDERR_FILENO, failure + "\n", "standard error");
  throw Failure{ExitCode::transfer_failed,
                "transfer",
                {},
                text(order.jobs.size() - report.done, " of ", order.jobs.size(), " files failed")};
}

// A device or a pipe is written to, and never replaced.
void Client::get_into_special_file(const std::string& remote, const std::string& local) {
  const UniqueFd file{::open(local.c_str(), O_WRONLY | O_CLOEXEC)};
  if (!file.valid()) throw_errno("open", local);
  session().retrieve(remote, 0,
                     [&](std::string_view bytes) { write_full(file.fd(), bytes, local); });
}

void Client::get(const std::string& remote, std::string local, bool resume) {
  if (local == "-") return cat(remote);
  if (local.empty() || fs::is_directory(local)) local = joined(local, local_name_of(remote));
  if (fs::exists(local) && !fs::is_regular_file(local)) return get_into_special_file(remote, local);
  const LocalFile file = local_file(local);
  run({.direction = Direction::get,
       .folder = file.folder,
       .jobs = {{.remote = session().absolute(remote), .local = file.name}},
       .options = {.resume = resume || options_.resume}});
}

void Client::put(const std::string& local, std::string remote, bool resume) {
  const std::string name = fs::path{local}.filename();
  if (remote.empty() || remote.ends_with('/')) remote = joined(remote, name);
  const LocalFile file = local_file(local);
  run({.direction = Direction::put,
       .folder = file.folder,
       .jobs = {{.remote = session().absolute(remote), .local = file.name}},
       .options = {.resume = resume || options_.resume}});
}

void Client::get_matching(const std::vector<std::string>& patterns, const std::string& folder) {
  Order order{.direction = Direction::get,
              .folder = fs::absolute(folder),
              .options = {.resume = options_.resume},
              .parallel = options_.parallel};
  for (const std::string& pattern : patterns) {
    const std::string whole = session().absolute(pattern);
    const std::string parent = ftp::parent_of(whole);
    for (const Entry& entry : session().list(parent)) {
      if (entry.kind == Entry::Kind::directory || entry.kind == Entry::Kind::other) continue;
      if (!is_safe_name(entry.name) || !ftp::matches(ftp::name_of(whole), entry.name)) continue;
      const bool link = entry.kind == Entry::Kind::link;
      order.jobs.push_back({.remote = joined(parent, entry.name),
                            .local = entry.name,
                            .size = link ? std::nullopt : entry.size,
                            .modified = link ? std::nullopt : entry.modified});
    }
  }
  if (order.jobs.empty())
    throw Failure{ExitCode::refused, "get", printable(patterns.front()), "no file matches"};
  run(order);
}

void Client::put_several(const std::vector<std::string>& files) {
  std::map<std::string, Order> orders;  // by folder
  for (const std::string& path : files) {
    const LocalFile file = local_file(path);
    const std::string name = fs::path{path}.filename();
    Order& order = orders[file.folder];
    order.jobs.push_back({.remote = session().absolute(name), .local = file.name});
  }
  for (auto& [folder, order] : orders) {
    order.direction = Direction::put;
    order.folder = folder;
    order.options.resume = options_.resume;
    order.parallel = options_.parallel;
    run(order);
  }
}

void Client::carry_out(Plan plan, Direction direction, const std::string& folder) {
  for (const std::string& note : plan.notes) say("left out: " + note);
  const std::size_t needed = plan.jobs.size();
  std::exception_ptr failure;
  try {
    run({.direction = direction,
         .folder = folder,
         .jobs = std::move(plan.jobs),
         .options = {.resume = options_.resume},
         .parallel = options_.parallel});
  } catch (const Interrupted&) {
    throw;
  } catch (const std::exception&) {
    failure = std::current_exception();
  }
  for (const std::string& problem : plan.problems)
    write_full(STDERR_FILENO, problem + "\n", "standard error");
  if (failure) std::rethrow_exception(failure);
  if (!plan.problems.empty())
    throw Failure{ExitCode::transfer_failed,
                  "mirror",
                  {},
                  text(plan.problems.size(), " things could not be mirrored")};
  say(text(needed, " files transferred, ", plan.unchanged, " were there"));
}

void Client::mirror(const std::string& remote, const std::string& local) {
  fs::create_directories(local);
  const LocalFolder folder{fs::absolute(local)};
  carry_out(plan_get(session(), remote, folder), Direction::get, folder.path());
}

void Client::mirror_back(const std::string& local, const std::string& remote) {
  const LocalFolder folder{fs::absolute(local)};
  carry_out(plan_put(session(), folder, remote), Direction::put, folder.path());
}

void Client::cat(const std::string& remote) {
  session().retrieve(remote, 0, [](std::string_view bytes) { demo::print(bytes); });
}

void Client::list(const std::string& path) {
  auto entries = session().list(path);
  std::ranges::sort(entries, {}, &Entry::name);
  std::string lines;
  for (const Entry& entry : entries) lines.append(line_of(entry)).append("\n");
  demo::print(lines);
}

}  // namespace procpool::ftp_client
