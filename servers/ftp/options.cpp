#include "servers/ftp/options.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>

#include "ipc/base/error.hpp"
#include "servers/net/address.hpp"
#include "servers/program/check_folder.hpp"
#include "servers/program/detail/command_line_parser.hpp"
#include "servers/program/detail/settings_file.hpp"

namespace procpool::ftp {

using program::apply_flag;
using program::Kind;
using program::refuse;
using program::set_addresses;
using program::set_duration;
using program::set_number;
using program::set_text;
using program::set_toggle;
using program::Setting;
using program::Values;
using program::detail::CommandLineParser;
using program::detail::SettingsFile;

namespace {

std::string set_users(Settings& settings, const Values& values) {
  try {
    settings.users = values.back().empty() ? Users{} : read_users(values.back());
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

std::string set_greeting(Settings& settings, const Values& values) {
  const std::string& text = values.back();
  if (text.empty() || std::ranges::any_of(text, [](unsigned char c) { return c < ' '; }))
    return "must be a line of text";
  settings.greeting = text;
  return {};
}

std::string set_passive_ports(Settings& settings, const Values& values) {
  const std::string& text = values.back();
  PortRange range;
  const char* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, range.first);
  const bool has_dash = first.ec == std::errc{} && first.ptr != end && *first.ptr == '-';
  const auto last = has_dash ? std::from_chars(first.ptr + 1, end, range.last) : first;
  if (!has_dash || last.ec != std::errc{} || last.ptr != end || range.first < 1024 ||
      range.first > range.last)
    return "must be two ports from 1024 on, as \"50000-50100\", not \"" + text + "\"";
  settings.passive_ports = range;
  return {};
}

std::string set_passive_host(Settings& settings, const Values& values) {
  const std::string& text = values.back();
  in_addr address{};
  if (::inet_pton(AF_INET, text.c_str(), &address) != 1)
    return "must be an IPv4 address, not \"" + text + "\"";
  settings.passive_host = text;
  return {};
}

std::string set_umask(Settings& settings, const Values& values) {
  const std::string& text = values.back();
  unsigned mask = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), mask, 8);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() || mask > 0777)
    return "must be three octal digits, as \"022\", not \"" + text + "\"";
  settings.umask = mask;
  return {};
}

std::string set_transfer_log_format(Settings& settings, const Values& values) {
  const auto* const named = std::ranges::find(kTransferLogFormatNames, values.back());
  if (named == kTransferLogFormatNames.end())
    return "must be xferlog or json, not \"" + values.back() + "\"";
  settings.transfer_log_format =
      static_cast<TransferLogFormat>(named - kTransferLogFormatNames.begin());
  return {};
}

constexpr Setting<Options> kSettings[] = {
    {"listen", "ADDR:PORT", "where to listen (127.0.0.1:2121), also [ADDR6]:PORT; repeatable",
     Kind::texts, set_addresses<&Options::listen>},
    {"max-sessions", "N", "sessions at once (2000)", Kind::integer,
     set_number<&Options::max_sessions, 1, models::SessionBoard::kSlots>},
    {"max-sessions-per-address", "N", "of one client's address (50)", Kind::integer,
     set_number<&Options::max_sessions_per_address, 1, models::SessionBoard::kSlots>},
    {"spare-sessions", "N", "sessions forked ahead of their clients (0)", Kind::integer,
     set_number<&Options::spare_sessions, 0, 64>},
    {"seccomp", "on|off", "end a session that makes an unusual system call (on)", Kind::toggle,
     set_toggle<&Options::seccomp>},
    {"graceful-timeout", "TIME", "how long transfers may take when the server stops (30s)",
     Kind::duration, set_duration<&Options::graceful_timeout>},
    {"pid-file", "FILE", "lock it and write the master's pid into it", Kind::text,
     set_text<&Options::pid_file>},
    {"error-log", "FILE|-", "what goes wrong; -: standard error (default)", Kind::text,
     set_text<&Options::error_log>},
    {"user", "NAME", "run the sessions as this user", Kind::text, set_text<&Options::user>},
    {"group", "NAME", "run the sessions as this group", Kind::text, set_text<&Options::group>},
};

constexpr Setting<Settings> kSessionSettings[] = {
    {"users", "FILE", "who may log in: see \"procpool-ftpd user\"", Kind::text, set_users},
    {"system-users", "on|off", "let users of this system in, each with his own rights (off)",
     Kind::toggle, set_toggle<&Settings::system_users>},
    {"anonymous", "DIR", "let everybody read what is beneath it, as \"anonymous\"", Kind::text,
     set_text<&Settings::anonymous>},
    {"greeting", "TEXT", "the first line that a client sees (procpool-ftpd)", Kind::text,
     set_greeting},
    {"login-timeout", "TIME", "until somebody is logged in (60s)", Kind::duration,
     set_duration<&Settings::login_timeout>},
    {"login-failures", "N", "the last one ends the session (3)", Kind::integer,
     set_number<&Settings::login_failures, 1, 100>},
    {"idle-timeout", "TIME", "between two commands (300s)", Kind::duration,
     set_duration<&Settings::idle_timeout>},
    {"data-timeout", "TIME", "in which nothing moves in a transfer (300s)", Kind::duration,
     set_duration<&Settings::data_timeout>},
    {"accept-timeout", "TIME", "for a data connection (60s)", Kind::duration,
     set_duration<&Settings::accept_timeout>},
    {"passive-ports", "LOW-HIGH", "for data connections (as the kernel has)", Kind::text,
     set_passive_ports},
    {"passive-host", "ADDR", "what PASV says, behind an address translation", Kind::text,
     set_passive_host},
    {"umask", "OCTAL", "taken from the mode of new files (022)", Kind::text, set_umask},
    {"durable", "on|off", "an upload is on the disk before it is acknowledged (off)", Kind::toggle,
     set_toggle<&Settings::durable>},
    {"transfer-log", "FILE|-|off", "a line for each transfer; -: standard output (off)", Kind::text,
     set_text<&Settings::transfer_log>},
    {"transfer-log-format", "xferlog|json", "how its lines are written (xferlog)", Kind::text,
     set_transfer_log_format},
};

// "user add ..." and so on. What was parsed is left in `change`.
void offer_user_commands(CLI::App& app, CommandLine& result, UserChange& change) {
  auto* const user = app.add_subcommand("user", "who may log in: add, remove, passwd, list");
  user->require_subcommand(0, 1);
  user->callback([user] {
    if (user->get_subcommands().empty())
      throw OptionsError{"command", "user", "needs add, remove, passwd or list"};
  });
  const auto offer = [&](const char* name, const char* help, UserChange::Kind kind) {
    auto* const command = user->add_subcommand(name, help);
    command->add_option("--users", change.file, "the file of users")
        ->required()
        ->option_text("FILE");
    if (kind != UserChange::Kind::list)
      command->add_option("NAME", change.name, "of the user")->required()->option_text(" ");
    command->callback([&result, &change, kind] {
      change.kind = kind;
      result.user_change = change;
      result.action = CommandLine::Action::own;
    });
    return command;
  };
  auto* const add = offer("add", "a user; the password is read", UserChange::Kind::add);
  add->add_option("--home", change.home, "the root of what he sees")
      ->required()
      ->option_text("DIR");
  add->add_flag("--write", change.may_write, "he may change it");
  add->add_option("--rate", change.rate, "bytes per second, as 500K (no limit)")
      ->option_text("SIZE");
  add->add_option("--quota", change.quota, "bytes that he may keep, as 10G (no limit)")
      ->option_text("SIZE");
  offer("remove", "a user", UserChange::Kind::remove);
  offer("passwd", "another password, which is read", UserChange::Kind::passwd);
  offer("list", "all of them", UserChange::Kind::list);
}

void offer_sessions(CLI::App& app, CommandLine& result) {
  auto* const sessions = app.add_subcommand("sessions", "who is there, and what he does");
  sessions->add_option("--pid-file", result.text, "of the server")->required()->option_text("FILE");
  sessions->add_flag("--watch", result.watch, "again each second, until it is interrupted");
  sessions->callback([&result] {
    result.shows_sessions = true;
    result.action = CommandLine::Action::own;
  });
}

void check_system_users(const std::optional<proc::Credentials>& user, const Origins& origins) {
  if (::geteuid() != 0) refuse(origins, "system-users", "needs root: only root can become them");
  if (!user || user->uid == 0)
    refuse(origins, "system-users", "needs --user NAME, not root's: for who has not yet logged in");
}

}  // namespace

void apply(const CommandLine& command_line, Options& options) {
  for (const auto& [key, values] : command_line.settings) {
    if (!apply_flag(kSettings, options, key, values))
      apply_flag(kSessionSettings, options.session, key, values);
  }
}

CommandLine parse_command_line(int argc, const char* const* argv) {
  CommandLine result;
  UserChange change;
  CommandLineParser parser{"procpool-ftpd",
                           "An FTP server with a process for each client. Signals: HUP reloads, "
                           "USR2 upgrades, TERM drains and ends, USR1 reopens the logs.",
                           result};
  parser.offer(kSettings);
  parser.offer(kSessionSettings);
  offer_user_commands(parser.app(), result, change);
  offer_sessions(parser.app(), result);
  parser.parse(argc, argv);
  Options scratch;
  apply(result, scratch);
  return result;
}

Origins load_config(const std::string& path, Options& options, const CommandLine& command_line) {
  SettingsFile file{path, command_line.config_text};
  for (const auto& [key, node] : file.top()) {
    if (file.take(kSettings, options, key, node) ||
        file.take(kSessionSettings, options.session, key, node))
      continue;
    std::vector<std::string_view> known;
    program::detail::append_names(kSettings, known);
    program::detail::append_names(kSessionSettings, known);
    file.refuse_unknown(key, known);
  }
  apply(command_line, options);
  return file.take_origins();
}

bool has_sandbox(const Options& options) {
  return options.seccomp.value_or(models::sandbox_is_available());
}

void validate(const Options& options, const Origins& origins) {
  if (options.seccomp.value_or(false) && !models::sandbox_is_available())
    refuse(origins, "seccomp", "is not available in this build or on this kernel");
  const Settings& session = options.session;
  if (session.users.empty() && session.anonymous.empty() && !session.system_users)
    refuse(origins, "users",
           "nobody could log in: name a file of users, or a folder for anonymous");
  for (const std::string& address : options.listen) {
    if (net::Address::parse(address).is_unix())
      refuse(origins, "listen", "must be an address of IPv4 or IPv6, not \"" + address + "\"");
  }
  const auto user = program::check_user(options.user, options.group, origins);
  if (session.system_users) check_system_users(user, origins);
  if (!session.anonymous.empty())
    program::check_folder(session.anonymous, "anonymous", user, origins);
}

Options load_options(const CommandLine& command_line) {
  return program::load_options<Options>(command_line);
}

}  // namespace procpool::ftp
