#include "servers/http/options.hpp"

#include <fcntl.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include <CLI/CLI.hpp>

#include "ipc/base/io.hpp"
#include "ipc/base/unique_fd.hpp"
#include "proc/process.hpp"
#include "servers/http/detail/toml.hpp"
#include "servers/net/address.hpp"

namespace procpool::http {
namespace {

using Values = std::vector<std::string>;

// What a key of the file may hold. A flag is always text.
enum class Kind { text, texts, integer, integer_or_text, duration, toggle };

// One setting: how it is called, and how a value becomes a member of Options. `set` returns the
// reason why not; empty: done. Only `texts` means more than one value;
// of all others the last one counts.
struct Setting {
  const char* key;
  const char* placeholder;
  const char* help;
  Kind kind;
  std::string (*set)(Options&, const Values&);
};

template <auto member>
std::string set_text(Options& options, const Values& values) {
  options.*member = values.back();
  return {};
}

template <auto member>
std::string set_site_text(Options& options, const Values& values) {
  options.site.*member = values.back();
  return {};
}

template <auto member>
std::string set_toggle(Options& options, const Values& values) {
  const std::string& value = values.back();
  if (value != "on" && value != "off") return "must be on or off, not \"" + value + "\"";
  options.site.*member = value == "on";
  return {};
}

std::string set_listen(Options& options, const Values& values) {
  if (values.empty()) return "needs one address at least";
  try {
    for (const std::string& address : values) net::Address::parse(address);
  } catch (const Error& error) {
    return error.what();
  }
  options.listen = values;
  return {};
}

template <typename Number>
std::string parse_number(std::string_view text, Number low, Number high, Number& result) {
  const char* const end = text.data() + text.size();
  Number number{};
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec == std::errc{} && parsed.ptr == end && number >= low && number <= high) {
    result = number;
    return {};
  }
  return "must be a whole number from " + std::to_string(low) + " to " + std::to_string(high) +
         ", not \"" + std::string{text} + "\"";
}

template <auto member, auto low, auto high>
std::string set_number(Options& options, const Values& values) {
  return parse_number(values.back(), low, high, options.*member);
}

std::string set_workers(Options& options, const Values& values) {
  if (values.back() == "auto") {
    options.workers = 0;
    return {};
  }
  return parse_number(values.back(), 1u, Options::kMaxWorkers, options.workers);
}

template <auto member>
std::string set_duration(Options& options, const Values& values) {
  constexpr double kShortest = 0.001;
  constexpr double kLongest = 86'400;
  const std::string& text = values.back();
  const char* const end = text.data() + text.size();
  double number = 0;
  const auto parsed = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  const std::string_view unit{parsed.ptr, static_cast<std::size_t>(end - parsed.ptr)};
  const double seconds = unit == "ms" ? number / 1000 : number;
  const bool known_unit = unit.empty() || unit == "s" || unit == "ms";
  if (parsed.ec != std::errc{} || !known_unit || !(seconds >= kShortest && seconds <= kLongest)) {
    return "must be a time from 1ms to 86400s, as 2.5, \"30s\" or \"500ms\", not \"" + text + "\"";
  }
  options.*member = std::chrono::milliseconds{std::llround(seconds * 1000)};
  return {};
}

constexpr Setting kSettings[] = {
    {"workers", "N|auto", "worker processes; auto (default): one for each usable CPU",
     Kind::integer_or_text, set_workers},
    {"listen", "ADDR:PORT",
     "where to listen (127.0.0.1:8080), also [ADDR6]:PORT, unix:PATH; repeatable", Kind::texts,
     set_listen},
    {"root", "DIR", "serve the files beneath it, instead of the built-in site", Kind::text,
     set_site_text<&SiteSettings::root>},
    {"gzip", "on|off", "compress text for who takes it (on)", Kind::toggle,
     set_toggle<&SiteSettings::gzip>},
    {"precompressed", "on|off", "send FILE.br and FILE.gz for FILE to who takes them (off)",
     Kind::toggle, set_toggle<&SiteSettings::precompressed>},
    {"dot-files", "on|off", "serve names that begin with a dot (off)", Kind::toggle,
     set_toggle<&SiteSettings::dot_files>},
    {"symlinks", "on|off", "follow symbolic links that stay beneath the root (on)", Kind::toggle,
     set_toggle<&SiteSettings::symlinks>},
    {"pid-file", "FILE", "lock it and write the master's pid into it", Kind::text,
     set_text<&Options::pid_file>},
    {"access-log", "FILE|-|off", "one line for each request; -: standard output (off)", Kind::text,
     set_text<&Options::access_log>},
    {"error-log", "FILE|-", "what goes wrong; -: standard error (default)", Kind::text,
     set_text<&Options::error_log>},
    {"user", "NAME", "run the workers as this user", Kind::text, set_text<&Options::user>},
    {"group", "NAME", "run the workers as this group", Kind::text, set_text<&Options::group>},
    {"graceful-timeout", "TIME", "how long draining workers may take (30s)", Kind::duration,
     set_duration<&Options::graceful_timeout>},
    {"header-timeout", "TIME", "how long the head of a request may take (10s)", Kind::duration,
     set_duration<&Options::header_timeout>},
    {"idle-timeout", "TIME", "how long a connection may wait for its next request (60s)",
     Kind::duration, set_duration<&Options::idle_timeout>},
    {"send-timeout", "TIME", "how long an answer may make no progress (30s)", Kind::duration,
     set_duration<&Options::send_timeout>},
    {"max-body", "BYTES", "the largest body of a request (1048576)", Kind::integer,
     set_number<&Options::max_body, std::uint64_t{0}, std::uint64_t{1} << 40>},
    {"max-connections", "N", "connections open at once in each worker (4096)", Kind::integer,
     set_number<&Options::max_connections, 1u, 1'000'000u>},
};

const Setting* find_setting(std::string_view key) noexcept {
  const auto found = std::find_if(std::begin(kSettings), std::end(kSettings),
                                  [&](const Setting& setting) { return key == setting.key; });
  return found == std::end(kSettings) ? nullptr : found;
}

// --- the file ---

const char* expectation(Kind kind) noexcept {
  switch (kind) {
    case Kind::text:
      return "must be a string";
    case Kind::texts:
      return "must be an array of strings";
    case Kind::integer:
      return "must be an integer";
    case Kind::integer_or_text:
      return "must be an integer or a string";
    case Kind::duration:
      return "must be a number of seconds or a string";
    case Kind::toggle:
      return "must be true or false";
  }
  return "";
}

std::optional<Values> strings_of(const toml::array& array) {
  Values values;
  for (const toml::node& element : array) {
    if (!element.is_string()) return std::nullopt;
    values.push_back(element.as_string()->get());
  }
  return values;
}

// The node's values as a flag would have them; nullopt when it is not of this kind.
std::optional<Values> values_of(const toml::node& node, Kind kind) {
  const bool numeric = kind != Kind::text && kind != Kind::texts && kind != Kind::toggle;
  switch (node.type()) {
    case toml::node_type::string:
      if (kind == Kind::integer || kind == Kind::texts) return std::nullopt;
      return Values{node.as_string()->get()};
    case toml::node_type::integer:
      if (!numeric) return std::nullopt;
      return Values{std::to_string(node.as_integer()->get())};
    case toml::node_type::floating_point:
      if (kind != Kind::duration) return std::nullopt;
      return Values{std::to_string(node.as_floating_point()->get())};
    case toml::node_type::boolean:
      if (kind != Kind::toggle) return std::nullopt;
      return Values{node.as_boolean()->get() ? "on" : "off"};
    case toml::node_type::array:
      return kind == Kind::texts ? strings_of(*node.as_array()) : std::nullopt;
    default:
      return std::nullopt;
  }
}

std::string place(const std::string& path, const toml::source_region& source) {
  return path + ":" + std::to_string(source.begin.line);
}

toml::table parse_file(const std::string& path) {
  try {
    return toml::parse(read_file(path), path);
  } catch (const toml::parse_error& error) {
    throw OptionsError{place(path, error.source()), "", error.description()};
  } catch (const Error& error) {
    throw OptionsError{error};
  }
}

// --- what only the system can tell ---

// What no file has set was set by a flag: the defaults are good.
[[noreturn]] void refuse(const Origins& origins, const std::string& key, std::string_view reason) {
  const auto origin = origins.find(key);
  if (origin == origins.end()) throw OptionsError{"option", "--" + key, reason};
  throw OptionsError{origin->second, key, reason};
}

// 0, or an errno.
int try_to_open(const std::string& directory) noexcept {
  const UniqueFd fd{
      retry_eintr([&] { return ::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC); })};
  return fd.valid() ? 0 : errno;
}

// By a child, as the workers will. To find "." in it needs what finding a file needs: search
// permission.
void check_root(const std::string& root, const std::optional<proc::Credentials>& user,
                const Origins& origins) {
  const proc::ExitStatus status =
      proc::Process::fork([inside = root + "/."] { return try_to_open(inside); },
                          {.name = "root", .credentials = user, .keep_only = std::vector<int>{}})
          .wait();
  if (status.success()) return;
  const std::string operation = user ? "open as " + user->user : "open";
  const std::string reason = status.code() ? error_text(*status.code()) : status.text();
  refuse(origins, "root", Error{operation, root, reason}.what());
}

}  // namespace

Origins load_config(const std::string& path, Options& options) {
  Origins origins;
  for (const auto& [key, node] : parse_file(path)) {
    const std::string line = place(path, key.source());
    const Setting* const setting = find_setting(key.str());
    if (setting == nullptr) throw OptionsError{line, key.str(), "unknown key"};
    const auto values = values_of(node, setting->kind);
    const std::string reason = values ? setting->set(options, *values) : expectation(setting->kind);
    if (!reason.empty()) throw OptionsError{line, key.str(), reason};
    origins.emplace(key.str(), line);
  }
  return origins;
}

void apply(const CommandLine& command_line, Options& options) {
  for (const auto& [key, values] : command_line.settings) {
    const std::string reason = find_setting(key)->set(options, values);
    if (!reason.empty()) throw OptionsError{"option", "--" + key, reason};
  }
}

CommandLine parse_command_line(int argc, const char* const* argv) {
  CommandLine result;
  CLI::App app{
      "A pre-fork HTTP server. Signals: HUP reloads, TERM drains and ends, USR1 reopens the logs."};
  app.name("procpool-httpd");
  app.set_help_flag("-h,--help", "show this and end");
  app.set_version_flag("--version", "procpool-httpd " PROCPOOL_VERSION, "show the version and end");
  app.add_option("--config", result.config, "read settings from this TOML file; flags win")
      ->option_text("FILE");
  bool check = false;
  app.add_flag("--check", check, "read and judge the configuration, and end");

  std::vector<Values> given(std::size(kSettings));
  for (std::size_t i = 0; i < given.size(); ++i) {
    const Setting& setting = kSettings[i];
    app.add_option(std::string{"--"} + setting.key, given[i], setting.help)
        ->option_text(setting.placeholder)
        ->allow_extra_args(false);
  }

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    result.action = CommandLine::Action::show;
    result.text = app.help();
    return result;
  } catch (const CLI::CallForVersion& version) {
    result.action = CommandLine::Action::show;
    result.text = std::string{version.what()} + "\n";
    return result;
  } catch (const CLI::ParseError& error) {
    throw OptionsError{"command line", "", error.what()};
  }

  if (check) result.action = CommandLine::Action::check;
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (!given[i].empty()) result.settings.emplace_back(kSettings[i].key, given[i]);
  }
  Options scratch;
  apply(result, scratch);
  return result;
}

std::optional<proc::Credentials> credentials_of(const Options& options) {
  if (options.user.empty()) return std::nullopt;
  const auto group = options.group.empty() ? std::nullopt : std::optional{options.group};
  return proc::Credentials::of(options.user, group);
}

void validate(const Options& options, const Origins& origins) {
  if (options.user.empty() && !options.group.empty()) {
    refuse(origins, "group", "needs a user beside it");
  }
  std::optional<proc::Credentials> user;
  try {
    user = credentials_of(options);
  } catch (const Error& error) {
    refuse(origins, error.operation() == "group" ? "group" : "user", error.what());
  }
  if (!options.site.root.empty()) check_root(options.site.root, user, origins);
}

Options load_options(const CommandLine& command_line) {
  Options options;
  Origins origins;
  if (!command_line.config.empty()) origins = load_config(command_line.config, options);
  apply(command_line, options);
  for (const auto& [key, values] : command_line.settings) origins.erase(key);
  validate(options, origins);
  return options;
}

}  // namespace procpool::http
