#include "servers/ftp/control.hpp"

#include <sys/socket.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <deque>
#include <exception>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ipc/base/error.hpp"
#include "servers/ftp/command.hpp"
#include "servers/ftp/file_tree.hpp"
#include "servers/ftp/listing.hpp"
#include "servers/ftp/path.hpp"
#include "servers/ftp/reply.hpp"
#include "servers/ftp/transfer.hpp"
#include "servers/ftp/transfer_log.hpp"
#include "servers/ftp/upload.hpp"
#include "servers/models/password.hpp"

namespace procpool::ftp {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMostWaiting = 128;                     // commands, behind a transfer
constexpr std::size_t kMostUnsent = std::size_t{64} << 10;    // bytes of replies that nobody reads
constexpr std::size_t kListingPiece = std::size_t{32} << 10;  // bytes, at least, of one write
constexpr std::size_t kMostMatches = 100'000;                 // names that a pattern finds
constexpr std::uint16_t kFirstUnprivilegedPort = 1024;

// The verbs of another protocol, which a browser was tricked into speaking (RFC 2577's kin: a POST
// whose body is commands).
constexpr std::array<std::string_view, 6> kVerbsOfHttp{"GET", "POST",    "HEAD",
                                                       "PUT", "OPTIONS", "CONNECT"};

std::string sentence(int error) {
  return error_text(error) + ".";
}

// RFC 959 §4.2.2: what a file system says.
int code_of(int error) noexcept {
  switch (error) {
    case ENOSPC:
      return 452;
    case EDQUOT:
      return 552;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EIO:
      return 451;
    default:
      return 550;
  }
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<mode_t> octal(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || value > 0777)
    return std::nullopt;
  return static_cast<mode_t>(value);
}

std::string upper(std::string_view text) {
  return parse_command(text).verb;
}

// `first` and the rest behind its space.
std::pair<std::string, std::string> split(const std::string& text) {
  Command command = parse_command(text);
  return {std::move(command.verb), std::move(command.argument)};
}

// Clients ask as they would ask ls(1): "-la name".
std::string without_options(std::string_view argument) {
  while (argument.starts_with('-')) {
    const auto space = argument.find(' ');
    argument = space == argument.npos ? std::string_view{} : argument.substr(space + 1);
  }
  return std::string{argument};
}

// What others may see of it.
std::string shown(const Command& command) {
  if (command.verb == "PASS" || command.argument.empty()) return command.verb;
  return command.verb + " " + command.argument;
}

class Control {
 public:
  Control(models::Session& session, net::Stream stream, SettingsPtr settings);
  net::Task<> run();

 private:
  // A transfer, or a listing, that runs beside the control connection.
  struct Transfer {
    std::string verb;
    std::string file;
    std::string end;  // what is told at the end; empty: it runs
    Deadline::Clock::time_point began = Deadline::Clock::now();
    net::TaskGroup task{[](const std::exception_ptr&) {}};
  };
  using Body = std::function<net::Task<std::string>(net::Stream&)>;

  enum class Needs { nothing, login, write };
  enum class Argument { none, optional, required };
  struct Verb {
    std::string_view name;
    void (Control::*handler)(const std::string& argument);
    Argument argument = Argument::none;
    Needs needs = Needs::login;
    bool at_once = false;  // also in a transfer
  };
  static const Verb kVerbs[];
  static const Verb* find(std::string_view name);

  // The conversation.
  void say(std::string text);
  void say_now(const std::string& text);
  net::Task<bool> send_replies();
  Deadline patience() const;
  void take(const std::string& line);
  void execute(const Verb& verb, const Command& command);
  void finish_transfer();
  bool logged_in() const noexcept { return tree_.has_value(); }

  // Files.
  std::string path(const std::string& argument) const { return resolve(directory_, argument); }
  void tell_of_file(int error, const std::string& argument);
  void simple(int error, const std::string& argument, int code, std::string_view done);
  static std::optional<int> fault_of_file(const UniqueFd& file);

  // Transfers.
  bool may_transfer();
  void begin(std::string verb, std::string file, std::uint64_t size, std::string opening,
             Body body);
  net::Task<> run_transfer(std::string opening, Body body);
  TransferRules rules() const;
  net::Task<TransferResult> receive(net::Stream& data, int file) const;
  std::string end_of(const TransferResult& result) const;
  void log_transfer(const Transfer& transfer, bool complete);
  void list(const std::string& argument, bool names_only);
  void store(const std::string& name, bool as_new);
  void store_in_place(const std::string& file, off_t offset, std::string verb);
  DirectoryReader open_directory(const std::string& file) const;

  // The commands.
  void user(const std::string& name);
  void pass(const std::string& password);
  void log_in(const std::string& root);
  void refuse_login();
  void rein(const std::string&);
  void quit(const std::string&);
  void noop(const std::string&) { say(reply(200, "Nothing done.")); }
  void syst(const std::string&) { say(reply(215, "UNIX Type: L8")); }
  void help(const std::string&);
  void feat(const std::string&);
  void opts(const std::string& argument);
  void host(const std::string&);
  void unimplemented(const std::string&) { say(reply(502, "Not implemented.")); }

  void pwd(const std::string&);
  void cwd(const std::string& argument);
  void cdup(const std::string&) { cwd(".."); }
  void mkd(const std::string& argument);
  void rmd(const std::string& argument);
  void dele(const std::string& argument);
  void rnfr(const std::string& argument);
  void rnto(const std::string& argument);
  void size(const std::string& argument);
  void mdtm(const std::string& argument);
  void mfmt(const std::string& argument);
  void mlst(const std::string& argument);
  void site(const std::string& argument);

  void type(const std::string& argument);
  void stru(const std::string& argument);
  void mode(const std::string& argument);
  void allo(const std::string& argument);
  void rest(const std::string& argument);
  void pasv(const std::string&);
  void epsv(const std::string& argument);
  void port(const std::string& argument);
  void eprt(const std::string& argument);
  void go_active(const std::optional<net::Address>& target);

  void retr(const std::string& argument);
  void stor(const std::string& argument);
  void stou(const std::string& argument);
  void appe(const std::string& argument);
  void list(const std::string& argument) { list(argument, false); }
  void nlst(const std::string& argument) { list(argument, true); }
  void mlsd(const std::string& argument);
  void stat(const std::string& argument);
  void abor(const std::string&);

  // Wakes the conversation: the server stops.
  struct StopRelay : net::Interrupt::Waiter {
    explicit StopRelay(Control& to_tell) : control{to_tell} {}
    void interrupted() override { control.wake_->raise(); }
    Control& control;
  };

  models::Session& session_;
  net::Stream stream_;
  SettingsPtr settings_;
  net::Address local_;
  TransferLog log_;
  CommandReader reader_;
  std::deque<Command> waiting_;
  std::string unsent_;
  std::optional<net::Interrupt> wake_;
  Loop::Timer wake_timer_;
  StopRelay stop_relay_;
  bool closing_ = false;
  Deadline login_deadline_;

  std::optional<std::string> user_name_;  // of USER
  bool anonymous_ = false;
  User user_;
  unsigned failures_ = 0;
  std::optional<FileTree> tree_;  // while somebody is logged in
  std::string directory_ = "/";

  bool as_text_ = true;  // TYPE A is the default, RFC 959 §5.1
  bool epsv_only_ = false;
  std::uint64_t restart_ = 0;
  std::optional<std::string> rename_from_;
  FactSet facts_ = kAllFacts;
  mode_t umask_;
  std::chrono::milliseconds idle_timeout_;
  std::optional<DataLink> link_;
  std::optional<Transfer> transfer_;
};

const Control::Verb Control::kVerbs[] = {
    {"ABOR", &Control::abor, Argument::optional, Needs::nothing, true},
    {"ACCT", &Control::unimplemented, Argument::optional, Needs::nothing},
    {"ALLO", &Control::allo, Argument::required},
    {"APPE", &Control::appe, Argument::required, Needs::write},
    {"CDUP", &Control::cdup},
    {"CWD", &Control::cwd, Argument::required},
    {"DELE", &Control::dele, Argument::required, Needs::write},
    {"EPRT", &Control::eprt, Argument::required},
    {"EPSV", &Control::epsv, Argument::optional},
    {"FEAT", &Control::feat, Argument::optional, Needs::nothing},
    {"HELP", &Control::help, Argument::optional, Needs::nothing},
    {"HOST", &Control::host, Argument::required, Needs::nothing},
    {"LIST", &Control::list, Argument::optional},
    {"MDTM", &Control::mdtm, Argument::required},
    {"MFMT", &Control::mfmt, Argument::required, Needs::write},
    {"MKD", &Control::mkd, Argument::required, Needs::write},
    {"MLSD", &Control::mlsd, Argument::optional},
    {"MLST", &Control::mlst, Argument::optional},
    {"MODE", &Control::mode, Argument::required},
    {"NLST", &Control::nlst, Argument::optional},
    {"NOOP", &Control::noop, Argument::optional, Needs::nothing},
    {"OPTS", &Control::opts, Argument::required, Needs::nothing},
    {"PASS", &Control::pass, Argument::optional, Needs::nothing},
    {"PASV", &Control::pasv},
    {"PORT", &Control::port, Argument::required},
    {"PWD", &Control::pwd},
    {"QUIT", &Control::quit, Argument::optional, Needs::nothing},
    {"REIN", &Control::rein, Argument::optional, Needs::nothing},
    {"REST", &Control::rest, Argument::required},
    {"RETR", &Control::retr, Argument::required},
    {"RMD", &Control::rmd, Argument::required, Needs::write},
    {"RNFR", &Control::rnfr, Argument::required, Needs::write},
    {"RNTO", &Control::rnto, Argument::required, Needs::write},
    {"SITE", &Control::site, Argument::required},
    {"SIZE", &Control::size, Argument::required},
    {"SMNT", &Control::unimplemented, Argument::optional, Needs::nothing},
    {"STAT", &Control::stat, Argument::optional, Needs::login, true},
    {"STOR", &Control::stor, Argument::required, Needs::write},
    {"STOU", &Control::stou, Argument::optional, Needs::write},
    {"STRU", &Control::stru, Argument::required},
    {"SYST", &Control::syst, Argument::optional, Needs::nothing},
    {"TYPE", &Control::type, Argument::required},
    {"USER", &Control::user, Argument::required, Needs::nothing},
    // RFC 1123 §4.1.3.1
    {"XCUP", &Control::cdup},
    {"XCWD", &Control::cwd, Argument::required},
    {"XMKD", &Control::mkd, Argument::required, Needs::write},
    {"XPWD", &Control::pwd},
    {"XRMD", &Control::rmd, Argument::required, Needs::write},
};

const Control::Verb* Control::find(std::string_view name) {
  const auto* const found =
      std::ranges::find(std::begin(kVerbs), std::end(kVerbs), name, &Verb::name);
  return found == std::end(kVerbs) ? nullptr : found;
}

Control::Control(models::Session& session, net::Stream stream, SettingsPtr settings)
    : session_{session},
      stream_{std::move(stream)},
      settings_{std::move(settings)},
      local_{net::Address::local_of(stream_.fd())},
      log_{settings_->transfer_log},
      wake_timer_{session.loop(), [this] { wake_->raise(); }},
      stop_relay_{*this},
      login_deadline_{Deadline::in(settings_->login_timeout)},
      umask_{settings_->umask},
      idle_timeout_{settings_->idle_timeout} {
  session_.stop().add(stop_relay_);
  // The urgent byte of ABOR, RFC 959 §4.1.3, is one like the others.
  const int on = 1;
  ::setsockopt(stream_.fd(), SOL_SOCKET, SO_OOBINLINE, &on, sizeof on);
}

net::Task<> Control::run() {
  std::array<char, 4096> buffer;
  say(reply(220, settings_->greeting));
  while (!closing_) {
    wake_.emplace();  // before anything is looked at: what is raised from here on is not missed
    if (transfer_ && !transfer_->end.empty()) {
      finish_transfer();
    } else if (!transfer_ && session_.stop().raised()) {
      say(reply(421, "The server stops."));
      closing_ = true;
    } else if (!transfer_ && !waiting_.empty()) {
      const Command command = std::move(waiting_.front());
      waiting_.pop_front();
      execute(*find(command.verb), command);
    } else if (const auto line = reader_.next()) {
      take(*line);
    } else if (reader_.overflowed()) {
      say(reply(500, "The line is too long."));
      closing_ = true;
    } else {
      if (!co_await send_replies()) co_return;
      const auto woken = co_await stream_.readable(patience(), *wake_);
      if (woken.interrupted()) continue;
      if (woken.timed_out()) {
        say(reply(421, logged_in() ? "Nothing was said for too long." : "Nobody has logged in."));
        break;
      }
      if (woken.failed()) co_return;
      const auto got = co_await stream_.read_some(buffer, patience());
      if (got.failed() || got.bytes == 0) co_return;
      reader_.feed({buffer.data(), got.bytes});
    }
  }
  co_await send_replies();
}

// Gathered, and sent before the next wait: the control connection is read and written by one
// coroutine, and a transfer has something to say too.
void Control::say(std::string text) {
  unsent_ += text;
  if (unsent_.size() > kMostUnsent) closing_ = true;
}

// While the conversation waits for the client.
void Control::say_now(const std::string& text) {
  say(text);
  const ssize_t sent =
      ::send(stream_.fd(), unsent_.data(), unsent_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent > 0) unsent_.erase(0, static_cast<std::size_t>(sent));
}

net::Task<bool> Control::send_replies() {
  while (!unsent_.empty()) {
    const std::string text = std::exchange(unsent_, {});
    const auto sent = co_await stream_.write(text, Deadline::in(settings_->data_timeout));
    if (sent.failed()) co_return false;
  }
  co_return true;
}

Deadline Control::patience() const {
  if (transfer_) return Deadline::never();  // which has its own
  return logged_in() ? Deadline::in(idle_timeout_) : login_deadline_;
}

void Control::take(const std::string& line) {
  Command command = parse_command(line);
  if (line.find('\0') != line.npos) return say(reply(501, "A zero byte is in no name."));
  if (std::ranges::count(kVerbsOfHttp, command.verb) != 0) {
    closing_ = true;
    return say(reply(500, "This is no HTTP server."));
  }
  const Verb* const verb = find(command.verb);
  if (verb == nullptr) return say(reply(500, "Unknown command."));
  if (!transfer_ || verb->at_once) return execute(*verb, command);
  waiting_.push_back(std::move(command));
  if (waiting_.size() > kMostWaiting) {
    closing_ = true;
    say(reply(421, "Too many commands wait."));
  }
}

void Control::execute(const Verb& verb, const Command& command) {
  session_.slot().doing.set(shown(command));
  if (verb.needs != Needs::nothing && !logged_in()) return say(reply(530, "Log in first."));
  if (verb.needs == Needs::write && !user_.may_write) return say(reply(550, "You may read only."));
  if (verb.argument == Argument::required && command.argument.empty())
    return say(reply(501, "An argument is missing."));
  if (verb.argument == Argument::none && !command.argument.empty())
    return say(reply(501, "There must be no argument."));
  if (verb.name != "RNTO") rename_from_.reset();
  try {
    (this->*verb.handler)(command.argument);
  } catch (const Error& error) {
    say(reply(code_of(error.code().value()), error.code().message() + "."));
  }
}

// --- Login.

void Control::user(const std::string& name) {
  if (logged_in()) return say(reply(530, "Somebody is logged in; REIN ends that."));
  user_name_ = name;
  say(reply(331, "Password, please."));
}

void Control::pass(const std::string& password) {
  if (logged_in() || !user_name_) return say(reply(503, "USER comes first."));
  const std::string name = *std::exchange(user_name_, std::nullopt);
  anonymous_ = !settings_->anonymous.empty() && (name == "anonymous" || name == "ftp");
  if (anonymous_) {
    user_ = User{.hash = {}, .home = settings_->anonymous};
  } else {
    const auto found = settings_->users.find(name);
    const bool known = found != settings_->users.end();
    if (!models::is_password(password, known ? std::optional{found->second.hash} : std::nullopt))
      return refuse_login();
    user_ = found->second;
  }
  session_.slot().user.set(anonymous_ ? "anonymous" : name);
  log_in(user_.home);
}

void Control::log_in(const std::string& root) {
  try {
    tree_.emplace(root);
  } catch (const Error& error) {
    session_.log().error("{}", error.what());
    return say(reply(530, "Your home is missing."));
  }
  directory_ = "/";
  say(reply(230, "You are logged in."));
}

void Control::refuse_login() {
  session_.log().warn("{}: a login has failed", session_.client());
  if (++failures_ < settings_->login_failures) return say(reply(530, "Not logged in."));
  closing_ = true;
  say(reply(421, "Too many failures."));
}

void Control::rein(const std::string&) {
  tree_.reset();
  user_name_.reset();
  link_.reset();
  restart_ = 0;
  epsv_only_ = false;
  as_text_ = true;
  facts_ = kAllFacts;
  login_deadline_ = Deadline::in(settings_->login_timeout);
  session_.slot().user.set("");
  say(reply(220, settings_->greeting));
}

void Control::quit(const std::string&) {
  closing_ = true;
  say(reply(221, "Goodbye."));
}

// --- What the server can.

void Control::help(const std::string&) {
  std::vector<std::string> lines;
  for (const Verb& verb : kVerbs) {
    if (lines.empty() || lines.back().size() > 60) lines.emplace_back();
    lines.back().append(" ").append(verb.name);
  }
  say(reply(214, "Commands:", lines, "End."));
}

void Control::feat(const std::string&) {
  std::string mlst = " MLST ";
  for (std::size_t i = 0; i < kFactNames.size(); ++i) {
    const bool on = (facts_ & bit(static_cast<Fact>(i))) != 0;
    mlst.append(kFactNames.at(i)).append(on ? "*;" : ";");
  }
  say(reply(211, "Features:",
            {" EPRT", " EPSV", " HOST", " MDTM", " MFMT", mlst, " REST STREAM", " SIZE", " TVFS",
             " UTF8"},
            "End"));
}

void Control::opts(const std::string& argument) {
  const auto [what, value] = split(argument);
  if (what == "UTF8") {
    const std::string choice = upper(value);
    if (choice == "ON") return say(reply(200, "Names are UTF-8."));
    return say(reply(501, "Names are UTF-8, always."));
  }
  if (what != "MLST") return say(reply(501, "No option of this name."));
  facts_ = 0;
  std::string chosen = "MLST OPTS";
  const std::string wanted = ";" + value;
  for (std::size_t i = 0; i < kFactNames.size(); ++i) {
    const std::string name = upper(kFactNames.at(i));
    if (upper(wanted).find(";" + name + ";") == std::string::npos) continue;
    chosen.append(facts_ == 0 ? " " : "").append(kFactNames.at(i)).append(";");
    facts_ |= bit(static_cast<Fact>(i));
  }
  say(reply(200, chosen));
}

// RFC 7151: one host is all that there is.
void Control::host(const std::string&) {
  if (logged_in()) return say(reply(503, "HOST comes before USER."));
  say(reply(220, settings_->greeting));
}

// --- Directories and files.

void Control::tell_of_file(int error, const std::string& argument) {
  say(reply(code_of(error), argument + ": " + sentence(error)));
}

void Control::simple(int error, const std::string& argument, int code, std::string_view done) {
  if (error != 0) return tell_of_file(error, argument);
  say(reply(code, done));
}

void Control::pwd(const std::string&) {
  say(reply(257, quoted(directory_) + " is the current directory."));
}

void Control::cwd(const std::string& argument) {
  const std::string wanted = path(argument);
  const UniqueFd there = tree_->open(wanted, O_RDONLY | O_DIRECTORY);
  if (!there.valid()) return tell_of_file(errno, argument);
  directory_ = wanted;
  say(reply(250, quoted(directory_) + " is the current directory."));
}

void Control::mkd(const std::string& argument) {
  const std::string wanted = path(argument);
  if (const int error = tree_->make_directory(wanted, 0777U & ~umask_))
    return tell_of_file(error, argument);
  say(reply(257, quoted(wanted) + " is made."));
}

void Control::rmd(const std::string& argument) {
  simple(tree_->remove_directory(path(argument)), argument, 250, "It is removed.");
}

void Control::dele(const std::string& argument) {
  simple(tree_->remove_file(path(argument)), argument, 250, "It is deleted.");
}

void Control::rnfr(const std::string& argument) {
  const std::string from = path(argument);
  const UniqueFd parent = tree_->open_parent(from);
  struct stat facts{};
  if (!parent.valid() || from == "/" ||
      ::fstatat(parent.fd(), std::string{name_of(from)}.c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0)
    return tell_of_file(from == "/" ? EBUSY : errno, argument);
  rename_from_ = from;
  say(reply(350, "And RNTO?"));
}

void Control::rnto(const std::string& argument) {
  if (!rename_from_) return say(reply(503, "RNFR comes first."));
  const std::string from = *std::exchange(rename_from_, std::nullopt);
  simple(tree_->rename(from, path(argument)), argument, 250, "It is renamed.");
}

void Control::size(const std::string& argument) {
  if (as_text_) return say(reply(550, "Its size is not known in TYPE A."));
  const auto facts = tree_->look(path(argument));
  if (!facts) return tell_of_file(errno, argument);
  if (!S_ISREG(facts->st_mode)) return say(reply(550, argument + ": it is no regular file."));
  say(reply(213, std::to_string(facts->st_size)));
}

void Control::mdtm(const std::string& argument) {
  const auto facts = tree_->look(path(argument));
  if (!facts) return tell_of_file(errno, argument);
  if (!S_ISREG(facts->st_mode)) return say(reply(550, argument + ": it is no regular file."));
  say(reply(213, time_text(facts->st_mtime)));
}

void Control::mfmt(const std::string& argument) {
  const auto space = argument.find(' ');
  const auto time = parse_time(std::string_view{argument}.substr(0, space));
  if (!time || space == argument.npos) return say(reply(501, "It is YYYYMMDDHHMMSS and a name."));
  const std::string name = argument.substr(space + 1);
  if (const int error = tree_->set_modified(path(name), *time)) return tell_of_file(error, name);
  say(reply(213, "Modify=" + time_text(*time) + "; " + name));
}

void Control::mlst(const std::string& argument) {
  const std::string wanted = path(argument);
  const auto facts = tree_->look(wanted);
  if (!facts) return tell_of_file(errno, argument);
  say(reply(250, "Facts:", {" " + mlst_line(wanted, *facts, user_.may_write, facts_)}, "End"));
}

void Control::site(const std::string& argument) {
  const auto [what, rest] = split(argument);
  if (what == "HELP") return say(reply(214, "SITE commands:", {" CHMOD HELP IDLE UMASK"}, "End."));
  if (what == "IDLE") {
    if (rest.empty())
      return say(reply(200, std::to_string(idle_timeout_ / 1s) + " seconds between commands."));
    const auto seconds = number(rest);
    const auto most = static_cast<std::uint64_t>(settings_->idle_timeout / 1s);
    if (!seconds || *seconds == 0 || *seconds > most)
      return say(reply(501, "1 to " + std::to_string(most) + " seconds."));
    idle_timeout_ = std::chrono::seconds{*seconds};
    return say(reply(200, rest + " seconds between commands."));
  }
  if (what == "UMASK") {
    std::array<char, 8> text;
    if (rest.empty()) {
      std::snprintf(text.data(), text.size(), "%03o", umask_);
      return say(reply(200, "The umask is " + std::string{text.data()} + "."));
    }
    const auto mask = octal(rest);
    if (!mask) return say(reply(501, "It is an octal number up to 777."));
    umask_ = *mask;
    return say(reply(200, "The umask is " + rest + "."));
  }
  if (what == "CHMOD") {
    const auto space = rest.find(' ');
    const auto wanted = octal(std::string_view{rest}.substr(0, space));
    if (!wanted || space == rest.npos) return say(reply(501, "It is an octal number and a name."));
    if (!user_.may_write) return say(reply(550, "You may read only."));
    const std::string name = rest.substr(space + 1);
    return simple(tree_->change_mode(path(name), *wanted), name, 200, "Its mode is changed.");
  }
  say(reply(504, "SITE HELP tells what there is."));
}

// --- Parameters of transfers.

void Control::type(const std::string& argument) {
  const std::string wanted = [&] {
    std::string text = upper(argument);
    const std::string rest = split(argument).second;
    return rest.empty() ? text : text + " " + upper(rest);
  }();
  if (wanted == "A" || wanted == "A N") {
    as_text_ = true;
    return say(reply(200, "Text: lines end with CR LF."));
  }
  if (wanted == "I" || wanted == "L 8") {
    as_text_ = false;
    return say(reply(200, "Binary."));
  }
  say(reply(504, "TYPE is A, I or L 8."));
}

void Control::stru(const std::string& argument) {
  upper(argument) == "F" ? say(reply(200, "Files.")) : say(reply(504, "STRU is F."));
}

void Control::mode(const std::string& argument) {
  upper(argument) == "S" ? say(reply(200, "A stream.")) : say(reply(504, "MODE is S."));
}

void Control::allo(const std::string& argument) {
  const auto wanted = number(split(argument).first);
  if (!wanted) return say(reply(501, "It is a number of bytes."));
  const UniqueFd here = tree_->open(directory_, O_RDONLY | O_DIRECTORY);
  struct statvfs facts{};
  if (here.valid() && ::fstatvfs(here.fd(), &facts) == 0 &&
      *wanted / facts.f_frsize >= facts.f_bavail)
    return say(reply(552, "There is not so much room."));
  say(reply(200, "There is room."));
}

void Control::rest(const std::string& argument) {
  const auto offset = number(argument);
  if (!offset || *offset > kNoLimit) return say(reply(501, "It is a number of bytes."));
  if (as_text_ && *offset != 0) return say(reply(504, "Not in TYPE A."));
  restart_ = *offset;
  say(reply(350, "The next transfer begins at " + argument + "."));
}

void Control::pasv(const std::string&) {
  if (epsv_only_) return say(reply(522, "EPSV ALL was said."));
  link_.reset();  // its port may be the only one that is free
  std::string host = settings_->passive_host.empty() ? local_.host() : settings_->passive_host;
  if (host.find(':') != host.npos) return say(reply(522, "Use EPSV for IPv6."));
  link_ = DataLink::passive(local_, settings_->passive_ports);
  std::ranges::replace(host, '.', ',');
  const unsigned port = link_->port();
  say(reply(227, "Entering Passive Mode (" + host + "," + std::to_string(port / 256) + "," +
                     std::to_string(port % 256) + ")."));
}

void Control::epsv(const std::string& argument) {
  const std::string wanted = upper(argument);
  if (wanted == "ALL") {
    epsv_only_ = true;
    return say(reply(200, "EPSV it is."));
  }
  const std::string own = local_.host().find(':') == std::string::npos ? "1" : "2";
  if (!wanted.empty() && wanted != own)
    return say(reply(522, "Another protocol: use (" + own + ")."));
  link_.reset();
  link_ = DataLink::passive(local_, settings_->passive_ports);
  say(reply(229, "Entering Extended Passive Mode (|||" + std::to_string(link_->port()) + "|)."));
}

void Control::port(const std::string& argument) {
  const auto target = parse_port(argument);
  if (!target) return say(reply(501, "It is h1,h2,h3,h4,p1,p2."));
  go_active(target);
}

void Control::eprt(const std::string& argument) {
  const auto target = parse_extended_port(argument);
  if (!target) return say(reply(501, "It is |protocol|address|port|."));
  if (!target->address) return say(reply(522, "Another protocol: use (1,2)."));
  go_active(target->address);
}

// Never to somebody else: that is what a bounce attack wants, RFC 2577 §3.
void Control::go_active(const std::optional<net::Address>& target) {
  if (epsv_only_) return say(reply(522, "EPSV ALL was said."));
  if (target->host() != session_.client()) return say(reply(501, "This is not your address."));
  if (target->port() < kFirstUnprivilegedPort) return say(reply(504, "Not to a port below 1024."));
  link_ = DataLink::active(*target);
  say(reply(200, "So it will be."));
}

// --- Transfers.

bool Control::may_transfer() {
  if (link_) return true;
  restart_ = 0;
  say(reply(425, "PASV, EPSV, PORT or EPRT comes first."));
  return false;
}

TransferRules Control::rules() const {
  return {.loop = session_.loop(),
          .patience = settings_->data_timeout,
          .rate = user_.rate,
          .done = session_.slot().done};
}

void Control::begin(std::string verb, std::string file, std::uint64_t size, std::string opening,
                    Body body) {
  session_.slot().begin_transfer(file, size);
  transfer_.emplace();
  transfer_->verb = std::move(verb);
  transfer_->file = std::move(file);
  transfer_->task.spawn(run_transfer(std::move(opening), std::move(body)));
}

// Beside the conversation, which it wakes at its end and does not touch before: it may be destroyed
// wherever it waits.
net::Task<> Control::run_transfer(std::string opening, Body body) {
  DataLink link = *std::exchange(link_, std::nullopt);
  UniqueFd socket = co_await link.connect(session_.loop(), session_.client(),
                                          Deadline::in(settings_->accept_timeout));
  std::string end = reply(425, "There is no data connection.");
  if (socket.valid()) {
    say_now(reply(150, opening));
    net::Stream data{session_.loop(), std::move(socket)};
    try {
      end = co_await body(data);
    } catch (const Error& error) {
      session_.log().error("{}: {}", session_.client(), error.what());
      end = reply(code_of(error.code().value()), error.code().message() + ".");
    }
    data.shutdown_write();
  }
  transfer_->end = std::move(end);
  wake_timer_.set(Deadline::now());
}

void Control::finish_transfer() {
  const bool complete = transfer_->end.starts_with("226");
  log_transfer(*transfer_, complete);
  say(transfer_->end);
  transfer_.reset();
  session_.slot().end_transfer();
  restart_ = 0;
}

// gcc 12 runs both sides of `? co_await : co_await`.
net::Task<TransferResult> Control::receive(net::Stream& data, int file) const {
  if (as_text_) co_return co_await receive_text_file(data, file, kNoLimit, rules());
  co_return co_await receive_file(data, file, kNoLimit, rules());
}

std::string Control::end_of(const TransferResult& result) const {
  switch (result.problem) {
    case Problem::none:
      return reply(226, "It is done.");
    case Problem::client:
      return reply(426, "The data connection: " + sentence(result.error));
    case Problem::file:
      return reply(code_of(result.error), sentence(result.error));
  }
  return {};
}

void Control::log_transfer(const Transfer& transfer, bool complete) {
  const bool incoming =
      transfer.verb == "STOR" || transfer.verb == "STOU" || transfer.verb == "APPE";
  if (!incoming && transfer.verb != "RETR") return;
  log_.add({.ended = std::time(nullptr),
            .took = std::chrono::duration_cast<std::chrono::seconds>(Deadline::Clock::now() -
                                                                     transfer.began),
            .client = session_.client(),
            .user = session_.slot().user.get(),
            .file = transfer.file,
            .bytes = session_.slot().done,
            .as_text = as_text_,
            .incoming = incoming,
            .anonymous = anonymous_,
            .complete = complete});
}

void Control::retr(const std::string& argument) {
  const std::string wanted = path(argument);
  UniqueFd file = tree_->open(wanted, O_RDONLY);
  struct stat facts{};
  if (!file.valid() || ::fstat(file.fd(), &facts) != 0) return tell_of_file(errno, argument);
  if (!S_ISREG(facts.st_mode)) return say(reply(550, argument + ": it is no regular file."));
  const auto offset = static_cast<off_t>(std::exchange(restart_, 0));
  if (offset > facts.st_size) return say(reply(554, "The file is shorter than that."));
  if (!may_transfer()) return;
  const auto size = static_cast<std::uint64_t>(facts.st_size - offset);
  begin("RETR", wanted, size, "Here it comes: " + std::to_string(size) + " bytes.",
        [this, offset, shared = std::make_shared<UniqueFd>(std::move(file))](
            net::Stream& data) -> net::Task<std::string> {
          if (as_text_) co_return end_of(co_await send_text_file(data, shared->fd(), rules()));
          co_return end_of(co_await send_file(data, shared->fd(), offset, rules()));
        });
}

void Control::store(const std::string& name, bool as_new) {
  auto upload = std::make_shared<Upload>(*tree_, name, 0666U & ~umask_);
  if (!may_transfer()) return;
  const auto durable = settings_->durable ? Upload::Durable::yes : Upload::Durable::no;
  begin(as_new ? "STOU" : "STOR", name, 0,
        as_new ? "FILE: " + std::string{name_of(name)} : "Send it.",
        [this, upload, durable, as_new](net::Stream& data) -> net::Task<std::string> {
          const TransferResult result = co_await receive(data, upload->fd());
          if (result.problem == Problem::none) {
            if (!as_new) {
              upload->commit(durable);
            } else if (!upload->commit_as_new(durable)) {
              co_return reply(553, "Somebody took the name.");
            }
          }
          co_return end_of(result);
        });
}

// What is resumed or appended to is changed in place: if it is cut again, it can be resumed again.
void Control::store_in_place(const std::string& file, off_t offset, std::string verb) {
  auto target = std::make_shared<UniqueFd>(tree_->open(file, O_WRONLY | O_CREAT, 0666U & ~umask_));
  struct stat facts{};
  if (!target->valid() || ::fstat(target->fd(), &facts) != 0)
    return tell_of_file(errno, std::string{name_of(file)});
  if (!S_ISREG(facts.st_mode)) return say(reply(550, "It is no regular file."));
  if (offset > facts.st_size) return say(reply(554, "The file is shorter than that."));
  if (!may_transfer()) return;
  if (verb == "APPE") offset = facts.st_size;
  if (::lseek(target->fd(), offset, SEEK_SET) < 0) throw_errno("lseek", file);
  begin(std::move(verb), file, 0, "Send the rest.",
        [this, target](net::Stream& data) -> net::Task<std::string> {
          const TransferResult result = co_await receive(data, target->fd());
          if (settings_->durable && ::fsync(target->fd()) != 0) throw_errno("fsync");
          co_return end_of(result);
        });
}

void Control::stor(const std::string& argument) {
  const std::string wanted = path(argument);
  const auto offset = static_cast<off_t>(std::exchange(restart_, 0));
  if (offset != 0) return store_in_place(wanted, offset, "STOR");
  const auto there = tree_->look(wanted);
  if (there && !S_ISREG(there->st_mode))
    return say(reply(550, argument + ": it is no regular file."));
  store(wanted, false);
}

void Control::appe(const std::string& argument) {
  restart_ = 0;
  store_in_place(path(argument), 0, "APPE");
}

// RFC 1123 §4.1.2.9
void Control::stou(const std::string& argument) {
  std::random_device random;
  std::string name = argument.empty() ? "file" : argument;
  while (tree_->look(path(name)))
    name = (argument.empty() ? "file" : argument) + "." + std::to_string(random());
  restart_ = 0;
  store(path(name), true);
}

DirectoryReader Control::open_directory(const std::string& file) const {
  UniqueFd directory = tree_->open(file, O_RDONLY | O_DIRECTORY);
  if (!directory.valid()) throw_errno("open", file);
  return DirectoryReader{std::move(directory)};
}

// Of a directory, a file, or the names in a directory that match a pattern.
void Control::list(const std::string& argument, bool names_only) {
  const std::string name = without_options(argument);
  std::string wanted = path(name);
  std::string pattern;
  auto facts = tree_->look(wanted);
  if (!facts && is_pattern(name_of(wanted))) {
    pattern = name_of(wanted);
    wanted = parent_of(wanted);
    facts = tree_->look(wanted);
  }
  if (!facts) {
    restart_ = 0;
    return say(reply(450, name + ": " + sentence(errno)));
  }
  const std::time_t now = std::time(nullptr);
  NextPiece next;
  if (!S_ISDIR(facts->st_mode)) {
    const std::string line = names_only ? name + "\r\n" : list_line(name, *facts, now);
    next = [line, told = false]() mutable -> std::optional<std::string> {
      if (std::exchange(told, true)) return std::nullopt;
      return line;
    };
  } else {
    const auto slash = name.rfind('/');
    const std::string before =
        names_only && !pattern.empty() && slash != name.npos ? name.substr(0, slash + 1) : "";
    next = [reader = std::make_shared<DirectoryReader>(open_directory(wanted)), pattern, before,
            names_only, now, matched = std::size_t{0}]() mutable -> std::optional<std::string> {
      std::string piece;
      while (piece.size() < kListingPiece && matched < kMostMatches * 100) {
        std::string line;
        std::string entry_name;
        if (names_only) {
          auto entry = reader->next_name();
          if (!entry) break;
          entry_name = *std::move(entry);
          line = before + entry_name + "\r\n";
        } else {
          const auto entry = reader->next();
          if (!entry) break;
          entry_name = entry->name;
          line = list_line(entry->name, entry->facts, now, entry->link);
        }
        if (!pattern.empty() && (!matches(pattern, entry_name) || ++matched > kMostMatches))
          continue;
        piece += line;
      }
      if (piece.empty()) return std::nullopt;
      return piece;
    };
  }
  if (!may_transfer()) return;
  begin(names_only ? "NLST" : "LIST", wanted, 0, "Here is the list.",
        [this, next](net::Stream& data) -> net::Task<std::string> {
          co_return end_of(co_await send_pieces(data, next, rules()));
        });
}

void Control::mlsd(const std::string& argument) {
  const std::string wanted = path(argument);
  const auto facts = tree_->look(wanted);
  if (!facts) return tell_of_file(errno, argument);
  if (!S_ISDIR(facts->st_mode)) return say(reply(501, argument + ": it is no directory."));
  const bool may_write = user_.may_write;
  std::string first = mlst_line(".", *facts, may_write, facts_, "cdir") + "\r\n";
  if (const auto above = tree_->look(parent_of(wanted)))
    first += mlst_line("..", *above, may_write, facts_, "pdir") + "\r\n";
  NextPiece next = [reader = std::make_shared<DirectoryReader>(open_directory(wanted)),
                    first = std::move(first), may_write,
                    set = facts_]() mutable -> std::optional<std::string> {
    std::string piece = std::exchange(first, {});
    while (piece.size() < kListingPiece) {
      const auto entry = reader->next();
      if (!entry) break;
      piece += mlst_line(entry->name, entry->facts, may_write, set) + "\r\n";
    }
    if (piece.empty()) return std::nullopt;
    return piece;
  };
  if (!may_transfer()) return;
  begin("MLSD", wanted, 0, "Here is the list.",
        [this, next](net::Stream& data) -> net::Task<std::string> {
          co_return end_of(co_await send_pieces(data, next, rules()));
        });
}

void Control::stat(const std::string& argument) {
  if (transfer_) {
    return say(reply(211, transfer_->verb + " " + transfer_->file + ": " +
                              std::to_string(session_.slot().done.load()) + " bytes so far."));
  }
  if (argument.empty()) {
    return say(reply(211, "procpool-ftpd",
                     {" You come from " + session_.client(),
                      " You are logged in as " + session_.slot().user.get(),
                      as_text_ ? " TYPE: A" : " TYPE: I", " STRU: F; MODE: S"},
                     "End."));
  }
  const std::string wanted = path(without_options(argument));
  const auto facts = tree_->look(wanted);
  if (!facts) return say(reply(450, argument + ": " + sentence(errno)));
  const std::time_t now = std::time(nullptr);
  std::vector<std::string> lines;
  const auto add = [&](std::string line) {
    line.resize(line.size() - 2);  // its CR LF
    lines.push_back(" " + line);
  };
  if (!S_ISDIR(facts->st_mode)) {
    add(list_line(name_of(wanted), *facts, now));
    return say(reply(213, "Status:", lines, "End."));
  }
  DirectoryReader reader = open_directory(wanted);
  std::size_t bytes = 0;
  while (const auto entry = reader.next()) {
    add(list_line(entry->name, entry->facts, now, entry->link));
    bytes += lines.back().size();
    if (bytes > kMostUnsent / 2) return say(reply(450, "Too many files: LIST tells of them."));
  }
  say(reply(212, "Status:", lines, "End."));
}

// RFC 959 §4.1.3: the data connection is closed in any case.
void Control::abor(const std::string&) {
  link_.reset();
  if (!transfer_) return say(reply(226, "Nothing is under way."));
  if (transfer_->end.empty()) transfer_->end = reply(426, "It is given up.");
  finish_transfer();
  say(reply(226, "So it is."));
}

}  // namespace

net::Task<> serve(models::Session& session, net::Stream stream, SettingsPtr settings) {
  Control control{session, std::move(stream), std::move(settings)};
  co_await control.run();
}

}  // namespace procpool::ftp
