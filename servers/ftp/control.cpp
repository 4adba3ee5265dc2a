#include "servers/ftp/control.hpp"

#include <sys/socket.h>
#include <sys/types.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <utility>
#include <vector>

#include "ipc/base/error.hpp"
#include "proc/process_title.hpp"
#include "servers/ftp/detail/arguments.hpp"
#include "servers/ftp/detail/control.hpp"
#include "servers/ftp/detail/login_line.hpp"
#include "servers/ftp/reply.hpp"

namespace procpool::ftp {
namespace detail {
namespace {

constexpr std::size_t kMostWaiting = 128;  // commands, behind a transfer

// The verbs of another protocol, which a browser was tricked into speaking (RFC 2577's kin: a POST
// whose body is commands).
constexpr std::array<std::string_view, 6> kVerbsOfHttp{"GET", "POST",    "HEAD",
                                                       "PUT", "OPTIONS", "CONNECT"};

// What others may see of it.
std::string shown(const Command& command) {
  if (command.verb == "PASS" || command.argument.empty()) return command.verb;
  return command.verb + " " + command.argument;
}

}  // namespace

const Control::Verb Control::kVerbs[] = {
    {"ABOR", &Control::abor, Argument::optional, Needs::nothing, true},
    {"ACCT", &Control::unimplemented, Argument::optional, Needs::nothing},
    {"ALLO", &Control::allo, Argument::required},
    {"APPE", &Control::appe, Argument::required, Needs::write},
    {"AUTH", &Control::unimplemented, Argument::optional, Needs::nothing},
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
    {"PBSZ", &Control::unprotected, Argument::required, Needs::nothing},
    {"PORT", &Control::port, Argument::required},
    {"PROT", &Control::unprotected, Argument::required, Needs::nothing},
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

Control::Control(models::Session& session, net::Stream stream, SettingsPtr settings, int login_line)
    : session_{session},
      stream_{std::move(stream)},
      settings_{std::move(settings)},
      local_{net::Address::local_of(stream_.fd())},
      log_{std::make_shared<TransferLog>(settings_->transfer_log, settings_->transfer_log_format)},
      login_line_{login_line},
      wake_timer_{session.loop(), [this] { wake_->raise(); }},
      stop_relay_{*this},
      login_deadline_{Deadline::in(settings_->login_timeout)},
      umask_{settings_->umask},
      idle_timeout_{settings_->idle_timeout} {
  session_.stop().add(stop_relay_);
  session_.at_reopen([log = std::weak_ptr{log_}, settings = settings_] {
    if (const auto still = log.lock())
      *still = {settings->transfer_log, settings->transfer_log_format};
  });
  // The urgent byte of ABOR, RFC 959 §4.1.3, is one like the others.
  const int on = 1;
  ::setsockopt(stream_.fd(), SOL_SOCKET, SO_OOBINLINE, &on, sizeof on);
}

void Control::greet() {
  show({});
  say_now(reply(220, settings_->greeting));
}

// He cannot become somebody else any more, nor log in again.
net::Task<> Control::run_for(const Admission& admission) {
  facts_ = admission.facts;
  log_in(admission.guest);
  closing_ = !logged_in();
  show({});
  return converse();
}

// What comes behind a line is left to whoever goes on with the connection, if its command is the
// last one here.
std::span<char> Control::part_to_read(std::span<char> buffer) const {
  if (login_line_ < 0) return buffer;
  const ssize_t size = ::recv(stream_.fd(), buffer.data(), buffer.size(), MSG_PEEK | MSG_DONTWAIT);
  if (size <= 0) return buffer.first(1);
  const auto there = buffer.first(static_cast<std::size_t>(size));
  const auto end = std::ranges::find(there, '\n');
  return end == there.end() ? there : std::span{there.begin(), end + 1};
}

net::Task<> Control::converse() {
  std::array<char, 4096> buffer;
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
      const auto got = co_await stream_.read_some(part_to_read(buffer), patience());
      if (got.failed() || got.bytes == 0) co_return;
      reader_.feed({buffer.data(), got.bytes});
    }
  }
  co_await send_replies();
}

// Gathered, and sent before the next wait: the control connection is read and written by one
// coroutine, and a transfer has something to say too.
void Control::say(const std::string& text) {
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
  show(shown(command));
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
    say(reply(code_of_errno(error.code().value()), error.code().message() + "."));
  }
}

// For the scoreboard, and for ps(1).
void Control::show(const std::string& doing) {
  session_.slot().doing.set(doing);
  const std::string user = session_.slot().user.get();
  proc::set_process_title("procpool-ftpd: " + session_.client() + " " +
                          (user.empty() ? "-" : user) + (doing.empty() ? "" : ": " + doing));
}

void Control::user(const std::string& name) {
  if (logged_in()) return say(reply(530, "Somebody is logged in; REIN ends that."));
  user_name_ = name;
  say(reply(331, "Password, please."));
}

void Control::pass(const std::string& password) {
  if (logged_in() || !user_name_) return say(reply(503, "USER comes first."));
  const std::string name = *std::exchange(user_name_, std::nullopt);
  if (login_line_ >= 0) return ask_for_login(name, password);
  const std::optional<Guest> guest = find_guest(*settings_, name);
  if (!is_let_in(guest, password)) return refuse_login();
  log_in(*guest);
}

void Control::ask_for_login(const std::string& name, const std::string& password) {
  if (is_refused(login_line_, {.name = name, .password = password, .facts = facts_}))
    return refuse_login();
  closing_ = true;
  say(reply(421, "Nobody can be let in now."));
}

void Control::log_in(const Guest& guest) {
  anonymous_ = guest.anonymous;
  user_ = guest.user;
  session_.slot().user.set(guest.name);
  try {
    tree_.emplace(user_.home);
    quota_ = Quota{settings_->quotas, *tree_, user_.quota};
  } catch (const Error& error) {
    session_.log().error("{}", error.what());
    const bool missing = !tree_;
    tree_.reset();
    return say(reply(530, missing ? "Your home is missing." : "Your quota cannot be kept."));
  }
  directory_ = std::string{"/"};  // gcc 12 sees an overlap in an assignment of the literal
  say(reply(230, "You are logged in."));
}

void Control::refuse_login() {
  session_.log().warn("{}: a login has failed", session_.client());
  if (++failures_ < settings_->login_failures) return say(reply(530, "Not logged in."));
  closing_ = true;
  say(reply(421, "Too many failures."));
}

// Who has become a user of the system stays that.
void Control::rein(const std::string&) {
  if (settings_->system_users) return say(reply(502, "Connect again instead."));
  quota_ = {};
  tree_.reset();
  user_name_.reset();
  swept_.clear();
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

// What only root may open is open before.
net::Task<> serve_as(models::Session& session, net::Stream stream, SettingsPtr settings,
                     const Admission& admission) {
  Control control{session, std::move(stream), settings};
  (admission.guest.run_as ? admission.guest.run_as : settings->run_as)->assume();
  if (settings->sandbox) settings->sandbox->enter();
  co_await control.run_for(admission);
}

net::Task<> let_in_and_serve(models::Session& session, net::Stream stream, SettingsPtr settings) {
  const std::optional<Admission> admission = co_await admit(session, stream, settings);
  if (admission) co_await serve_as(session, std::move(stream), settings, *admission);
}

net::Task<> converse(models::Session& session, net::Stream stream, SettingsPtr settings,
                     int login_line) {
  Control control{session, std::move(stream), settings, login_line};
  control.greet();  // the sandbox takes longer than all before it, and nothing is heard before it
  if (settings->sandbox) settings->sandbox->enter();
  co_await control.converse();
}

}  // namespace detail

net::Task<> serve(models::Session& session, net::Stream stream, SettingsPtr settings) {
  if (settings->system_users)
    return detail::let_in_and_serve(session, std::move(stream), std::move(settings));
  return detail::converse(session, std::move(stream), std::move(settings));
}

}  // namespace procpool::ftp
