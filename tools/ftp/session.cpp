#include "tools/ftp/session.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "ipc/base/io.hpp"
#include "servers/ftp/listing.hpp"
#include "servers/ftp/path.hpp"
#include "tools/ftp/failure.hpp"
#include "tools/ftp/line_ends.hpp"
#include "tools/ftp/names.hpp"

namespace procpool::ftp_client {
namespace {

constexpr std::size_t kPiece = std::size_t{256} << 10U;  // bytes of a transfer at a time
constexpr std::chrono::seconds kAbortPatience{5};

// A reply that cannot be trusted to belong to its command any more, or no connection at all.
bool breaks_connection(const Failure& failure) {
  switch (failure.exit_code()) {
    case ExitCode::no_connection:
    case ExitCode::timed_out:
    case ExitCode::protocol:
    case ExitCode::interrupted:
      return true;
    default:
      return false;
  }
}

[[noreturn]] void refuse(std::string_view operation, const std::string& object,
                         const Reply& reply) {
  throw Refused{operation, printable(object), reply.code, printable(reply.last())};
}

[[noreturn]] void throw_cut(std::string_view operation, const std::string& path,
                            std::string_view reason) {
  throw Failure{ExitCode::transfer_failed, operation, printable(path), reason};
}

void print_line(const std::string& line) {
  write_full(STDERR_FILENO, line + "\n", "standard error");
}

// The feature of a line of FEAT, RFC 2389 §3.2: " MLST size*;..." is "MLST".
std::string feature_of(std::string_view line) {
  while (line.starts_with(' ')) line.remove_prefix(1);
  std::string name{line.substr(0, line.find(' '))};
  std::ranges::transform(name, name.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  });
  return name;
}

}  // namespace

// So many bytes a second, by pauses.
class Session::Pace {
 public:
  Pace(const Waiting& waiting, std::uint64_t most_per_second)
      : waiting_{waiting}, most_per_second_{most_per_second} {}

  const Waiting& waiting() const noexcept { return waiting_; }
  std::size_t piece() const noexcept {
    if (most_per_second_ == 0) return kPiece;
    return std::clamp<std::size_t>(most_per_second_ / 10, 1, kPiece);
  }
  void moved(std::size_t bytes) {
    if (most_per_second_ == 0) return;
    moved_ += bytes;
    const std::chrono::duration<double> due{static_cast<double>(moved_) /
                                            static_cast<double>(most_per_second_)};
    const auto at = start_ + std::chrono::duration_cast<std::chrono::steady_clock::duration>(due);
    waiting_.until(Deadline::at(at));
  }

 private:
  const Waiting& waiting_;
  std::uint64_t most_per_second_;
  std::uint64_t moved_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

Session::Session(Login login, const SessionOptions& options, Interrupts* interrupts)
    : login_{std::move(login)}, options_{options}, waiting_{options.timeout, interrupts} {
  agreement_.mode = options.data_mode;
  connect();
}

void Session::set_data_mode(DataMode mode) {
  options_.data_mode = mode;
  agreement_ = {.mode = mode};
}

void Session::connect() {
  const Trace trace = options_.verbose ? Trace{&print_line} : Trace{};
  control_.reset();
  control_.emplace(login_.host, login_.port, waiting_, trace);
  try {
    greet();
    log_in();
    learn_features();
    const std::string before = directory_;
    const Reply reply = control_->ask("PWD");
    const auto path = reply.kind() == 2 ? parse_quoted_path(reply.last()) : std::nullopt;
    directory_ = path && path->starts_with('/') && fits_a_line(*path) ? *path : "/";
    if (!before.empty() && before != directory_) change_directory(before);
  } catch (...) {
    control_.reset();
    throw;
  }
}

void Session::greet() {
  Reply reply = control_->receive();
  while (reply.kind() == 1) reply = control_->receive();
  if (reply.kind() != 2)
    throw Failure{ExitCode::no_connection, "connect", login_.host, printable(reply.last())};
}

void Session::log_in() {
  type_ = 'A';
  Reply reply = control_->ask("USER " + login_.user);
  if (reply.code == 331) reply = control_->ask("PASS " + login_.password);
  if (reply.code == 332) reply = control_->ask("ACCT " + login_.account);
  if (reply.kind() != 2)
    throw Failure{ExitCode::login_refused, "log in", printable(login_.user + "@" + login_.host),
                  printable(reply.last())};
}

void Session::learn_features() {
  const Reply reply = control_->ask("FEAT");
  features_.clear();
  if (reply.kind() != 2) return;
  for (std::size_t i = 1; i + 1 < reply.lines.size(); ++i)
    features_.insert(feature_of(reply.lines[i]));
  if (has("UTF8")) control_->ask("OPTS UTF8 ON");  // RFC 2640; whatever it says
}

void Session::ensure_connected() {
  if (control_ && !control_->is_quiet()) control_.reset();
  if (!control_) connect();
}

Reply Session::ask(const std::string& line) {
  try {
    return control_->ask(line);
  } catch (const Failure& failure) {
    if (breaks_connection(failure)) control_.reset();
    throw;
  }
}

void Session::command(std::string_view operation, const std::string& line,
                      const std::string& object) {
  const Reply reply = ask(line);
  if (reply.kind() != 2) refuse(operation, object, reply);
}

void Session::set_type(char type) {
  if (type_ == type) return;
  command("set type", std::string{"TYPE "} + type, std::string{type});
  type_ = type;
}

std::string Session::absolute(std::string_view path) const {
  return ftp::resolve(directory_, path);
}

void Session::change_directory(const std::string& path) {
  const std::string wanted = absolute(path);
  ensure_connected();
  command("change directory", "CWD " + wanted, wanted);
  directory_ = wanted;
}

std::optional<std::uint64_t> Session::size(const std::string& path) {
  ensure_connected();
  set_type('I');
  const Reply reply = ask("SIZE " + absolute(path));
  if (reply.code != 213 || reply.last().size() < 4) return std::nullopt;
  return parse_number(std::string_view{reply.last()}.substr(4));
}

std::optional<std::time_t> Session::modified(const std::string& path) {
  ensure_connected();
  const Reply reply = ask("MDTM " + absolute(path));
  if (reply.code != 213 || reply.last().size() < 4) return std::nullopt;
  return ftp::parse_time(std::string_view{reply.last()}.substr(4));
}

void Session::make_directory(const std::string& path) {
  ensure_connected();
  command("make directory", "MKD " + absolute(path), path);
}

void Session::remove_directory(const std::string& path) {
  ensure_connected();
  command("remove directory", "RMD " + absolute(path), path);
}

void Session::remove(const std::string& path) {
  ensure_connected();
  command("remove", "DELE " + absolute(path), path);
}

void Session::rename(const std::string& from, const std::string& to) {
  ensure_connected();
  const Reply reply = ask("RNFR " + absolute(from));
  if (reply.kind() != 3) refuse("rename", from, reply);
  command("rename", "RNTO " + absolute(to), from);
}

void Session::change_mode(const std::string& mode, const std::string& path) {
  ensure_connected();
  command("change mode", "SITE CHMOD " + mode + " " + absolute(path), path);
}

bool Session::set_modified(const std::string& path, std::time_t time) {
  if (!has("MFMT")) return false;
  ensure_connected();
  return ask("MFMT " + ftp::time_text(time) + " " + absolute(path)).kind() == 2;
}

Reply Session::quote(const std::string& line) {
  ensure_connected();
  Reply reply = ask(line);
  type_ = '?';  // whatever was said may have changed it
  return reply;
}

void Session::begin(std::string_view operation, const std::string& line, const std::string& path) {
  const Reply reply = control_->ask(line);
  if (reply.kind() != 1) refuse(operation, path, reply);
}

void Session::transfer(std::string_view operation, const std::string& line, const std::string& path,
                       std::uint64_t offset, const Move& move) {
  bool begun = false;
  try {
    auto channel = DataChannel::agree(*control_, agreement_);
    if (offset > 0) {
      const Reply reply = control_->ask("REST " + std::to_string(offset));
      if (reply.kind() != 3) refuse(operation, path, reply);
    }
    begin(operation, line, path);
    begun = true;
    UniqueFd data = channel.connection(*control_);
    Pace pace{waiting_, options_.most_per_second};
    move(data.fd(), pace);
    data.reset();
    begun = false;
    const Reply end = control_->receive();
    if (end.kind() != 2) throw_cut(operation, path, printable(end.last()));
  } catch (const Failure& failure) {
    if (begun) {
      abort();
    } else if (breaks_connection(failure)) {
      control_.reset();
    }
    throw;
  } catch (...) {
    if (begun) abort();
    throw;
  }
}

// How many replies come depends on the server and on the moment: the one of NOOP is the last.
void Session::abort() noexcept {
  try {
    control_->send("ABOR");
    control_->send("NOOP");
    const Deadline deadline =
        Deadline::in(std::min<Deadline::Clock::duration>(options_.timeout, kAbortPatience));
    while (control_->receive(deadline).code != 200) {
    }
  } catch (const std::exception&) {
    control_.reset();
  }
}

void Session::retrieve(const std::string& path, std::uint64_t offset, const Sink& sink) {
  constexpr std::string_view kOperation = "get";
  ensure_connected();
  set_type(options_.text ? 'A' : 'I');
  transfer(kOperation, "RETR " + absolute(path), path, offset, [&](int data, Pace& pace) {
    FromNetwork lines;
    std::vector<char> buffer(pace.piece());
    for (;;) {
      pace.waiting().for_events(data, POLLIN, kOperation, printable(path));
      const ssize_t count = ::recv(data, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (count == 0) break;
      if (count < 0 && errno != EAGAIN && errno != EINTR)
        throw_cut(kOperation, path, error_text(errno));
      if (count <= 0) continue;
      const std::string_view bytes{buffer.data(), static_cast<std::size_t>(count)};
      options_.text ? sink(lines.text(bytes)) : sink(bytes);
      pace.moved(bytes.size());
    }
    if (options_.text) sink(lines.rest());
  });
}

void Session::send_all(int data, Pace& pace, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    pace.waiting().for_events(data, POLLOUT, "put", printable(path));
    const ssize_t count = ::send(data, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno != EAGAIN && errno != EINTR) throw_cut("put", path, error_text(errno));
    if (count <= 0) continue;
    bytes.remove_prefix(static_cast<std::size_t>(count));
    pace.moved(static_cast<std::size_t>(count));
  }
}

void Session::store(const std::string& path, Store how, const Source& source) {
  ensure_connected();
  set_type(options_.text ? 'A' : 'I');
  const std::string verb = how == Store::append ? "APPE " : "STOR ";
  transfer("put", verb + absolute(path), path, 0, [&](int data, Pace& pace) {
    ToNetwork lines;
    std::vector<char> buffer(pace.piece());
    while (const std::size_t size = source(buffer.data(), buffer.size())) {
      const std::string_view bytes{buffer.data(), size};
      send_all(data, pace, options_.text ? lines.text(bytes) : std::string{bytes}, path);
    }
  });
}

std::string Session::fetch_text(std::string_view operation, const std::string& line,
                                const std::string& path) {
  std::string text;
  transfer(operation, line, path, 0, [&](int data, Pace& pace) {
    std::array<char, 32768> buffer;
    for (;;) {
      pace.waiting().for_events(data, POLLIN, operation, printable(path));
      const ssize_t count = ::recv(data, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (count == 0) return;
      if (count < 0 && errno != EAGAIN && errno != EINTR)
        throw_cut(operation, path, error_text(errno));
      if (count > 0) text.append(buffer.data(), static_cast<std::size_t>(count));
      if (text.size() > kMostOfListing)
        throw Failure{ExitCode::protocol, operation, printable(path), "the listing never ends"};
    }
  });
  return text;
}

std::vector<Entry> Session::list(const std::string& path) {
  return has("MLST") ? list_by_mlsd(absolute(path)) : list_by_list(absolute(path));
}

std::vector<Entry> Session::list_by_mlsd(const std::string& path) {
  ensure_connected();
  set_type('A');
  try {
    return parse_listing(fetch_text("list", "MLSD " + path, path), Format::mlsd, 0);
  } catch (const Refused&) {
    const Reply reply = ask("MLST " + path);  // a file
    if (reply.kind() != 2 || reply.lines.size() < 3) throw;
    std::string_view line = reply.lines[1];
    while (line.starts_with(' ')) line.remove_prefix(1);
    auto entry = parse_mlsd_line(line);
    if (!entry || entry->kind == Entry::Kind::directory) throw;
    entry->name = ftp::name_of(path);
    return {*std::move(entry)};
  }
}

// From within: a path in the command may be taken for an option, or a pattern.
std::vector<Entry> Session::list_by_list(const std::string& path) {
  ensure_connected();
  set_type('A');
  if (ask("CWD " + path).kind() != 2) return list_file(path);
  auto entries = list_here(path);
  if (path != directory_) command("change directory", "CWD " + directory_, directory_);
  return entries;
}

// Not every server knows options.
std::vector<Entry> Session::list_here(const std::string& path) {
  const std::time_t now = std::time(nullptr);
  try {
    auto entries = parse_listing(fetch_text("list", "LIST -a", path), Format::list, now);
    if (!entries.empty()) return entries;
  } catch (const Refused&) {
    control_->note("* without -a");
  }
  return parse_listing(fetch_text("list", "LIST", path), Format::list, now);
}

std::vector<Entry> Session::list_file(const std::string& path) {
  auto entries =
      parse_listing(fetch_text("list", "LIST " + path, path), Format::list, std::time(nullptr));
  if (entries.size() != 1 || entries.front().kind == Entry::Kind::directory)
    throw Refused{"list", printable(path), 550, "no such file or directory"};
  entries.front().name = ftp::name_of(path);
  return entries;
}

void Session::quit() noexcept {
  if (!control_) return;
  try {
    control_->send("QUIT");
    control_->receive(Deadline::in(std::chrono::seconds{1}));
  } catch (const std::exception&) {
    control_->note("* the server did not say goodbye");
  }
  control_.reset();
}

}  // namespace procpool::ftp_client
