#include "servers/http/options.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "servers/http/detail/grammar.hpp"
#include "servers/http/site_map.hpp"
#include "servers/http/target.hpp"
#include "servers/models/sandbox.hpp"
#include "servers/program/check_folder.hpp"
#include "servers/program/detail/command_line_parser.hpp"
#include "servers/program/detail/settings_file.hpp"

namespace procpool::http {

using program::apply_flag;
using program::check_folder;
using program::Kind;
using program::refuse;
using program::set_addresses;
using program::set_duration;
using program::set_named;
using program::set_number;
using program::set_size;
using program::set_text;
using program::set_toggle;
using program::Setting;
using program::Values;
using program::detail::append_names;
using program::detail::CommandLineParser;
using program::detail::SettingsFile;

namespace {

bool is_field_value(std::string_view text) noexcept {
  return !text.empty() && trim(text) == text &&
         std::none_of(text.begin(), text.end(), [](char c) { return is_control(c) && c != '\t'; });
}

std::string set_cache_control(SiteSettings& site, const Values& values) {
  if (!is_field_value(values.back())) return "must be the value of a field";
  site.cache_control = values.back();
  return {};
}

std::string set_headers(SiteSettings& site, const Values& values) {
  // These say what is sent, and how: only the server knows.
  constexpr std::string_view kOurs[] = {"accept-ranges",    "cache-control", "connection",
                                        "content-encoding", "content-range", "content-length",
                                        "content-type",     "date",          "etag",
                                        "keep-alive",       "last-modified", "location",
                                        "server",           "trailer",       "transfer-encoding",
                                        "upgrade",          "vary",          "www-authenticate"};
  for (const std::string& header : values) {
    const auto colon = header.find(':');
    const std::string name = header.substr(0, colon);
    if (colon == header.npos || name.empty() || !consists_of(name, kToken) ||
        !is_field_value(trim(std::string_view{header}.substr(colon + 1)))) {
      return "must be \"Name: value\", not \"" + header + "\"";
    }
    if (std::any_of(std::begin(kOurs), std::end(kOurs),
                    [&](std::string_view ours) { return equals_ignoring_case(name, ours); })) {
      return "must leave \"" + name + "\" to the server";
    }
  }
  site.headers = values;
  return {};
}

// "404 /errors/404.html": a status and what belongs to it.
std::optional<std::pair<int, std::string>> split_status(const std::string& text) {
  int status = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), status);
  const std::string_view rest =
      std::string_view{text}.substr(static_cast<std::size_t>(parsed.ptr - text.data()));
  if (parsed.ec != std::errc{} || !rest.starts_with(' ') || trim(rest).empty()) return std::nullopt;
  return std::pair{status, std::string{trim(rest)}};
}

std::string set_error_pages(SiteSettings& site, const Values& values) {
  std::map<int, std::string> pages;
  for (const std::string& text : values) {
    const auto page = split_status(text);
    if (!page || page->first < 400 || page->first > 599 || !page->second.starts_with('/'))
      return "must be a status and a path, as \"404 /errors/404.html\", not \"" + text + "\"";
    std::string name;
    if (resolve_target(page->second, name).status != Status::ok)
      return "has a path that is none: \"" + page->second + "\"";
    pages.insert_or_assign(page->first, name);
  }
  site.error_pages = std::move(pages);
  return {};
}

std::string set_redirect(SiteSettings& site, const Values& values) {
  constexpr int kStatuses[] = {301, 302, 303, 307, 308};
  const auto target = split_status(values.back());
  const bool good =
      target &&
      std::find(std::begin(kStatuses), std::end(kStatuses), target->first) != std::end(kStatuses) &&
      is_field_value(target->second) && target->second.find(' ') == std::string::npos;
  if (!good) {
    return "must be a status and where to, as \"301 https://example.org/*\", not \"" +
           values.back() + "\"";
  }
  site.redirect = Redirection{static_cast<Status>(target->first), target->second};
  return {};
}

std::string set_users(SiteSettings& site, const Values& values) {
  try {
    site.users = values.back().empty() ? Users{} : read_users(values.back());
  } catch (const Error& error) {
    return error.what();
  }
  if (site.users.empty() && !values.back().empty())
    return "has no user in \"" + values.back() + "\"";
  return {};
}

std::string set_realm(SiteSettings& site, const Values& values) {
  const std::string& realm = values.back();
  if (!is_field_value(realm) || realm.find_first_of("\"\\") != realm.npos)
    return "must be a text without quotes";
  site.realm = realm;
  return {};
}

std::string set_status(Options& options, const Values& values) {
  const std::string& path = values.back();
  std::string resolved{"/"};
  if (path != "off" && (!path.starts_with('/') || path.ends_with('/') ||
                        resolve_target(path, resolved).status != Status::ok))
    return "must be off or a path without a slash at its end, as \"/server\", not \"" + path + "\"";
  options.status = path == "off" ? "" : path;
  return {};
}

std::string set_status_from(Options& options, const Values& values) {
  const std::string& value = values.back();
  if (value != "loopback" && value != "all")
    return "must be loopback or all, not \"" + value + "\"";
  options.status_to_all = value == "all";
  return {};
}

std::string set_workers(Options& options, const Values& values) {
  if (values.back() == "auto") {
    options.workers = 0;
    return {};
  }
  return set_number<&Options::workers, 1, Options::kMaxWorkers>(options, values);
}

std::string set_cpu_affinity(Options& options, const Values& values) {
  const std::string& value = values.back();
  try {
    if (value == "off") {
      options.cpu_affinity.reset();
    } else {
      options.cpu_affinity = value == "auto" ? models::CpuList{} : models::parse_cpu_list(value);
    }
  } catch (const Error&) {
    return "must be auto, off, or numbers and ranges, as \"0,2-3\", not \"" + value + "\"";
  }
  return {};
}

constexpr char kAcceptNames[] = "shared, reuseport, lock, file-lock or pass";
constexpr char kFormatNames[] = "common, combined or json";

std::string set_timeout(Options& options, const Values& values) {
  if (values.back() != "off") return set_duration<&Options::timeout>(options, values);
  options.timeout = std::chrono::milliseconds{0};
  return {};
}

constexpr Setting<Options> kSettings[] = {
    {"workers", "N|auto", "worker processes; auto (default): one for each usable CPU",
     Kind::integer_or_text, set_workers},
    {"min-workers", "N", "as few when there is little to do (as --workers)", Kind::integer,
     set_number<&Options::min_workers, 1, Options::kMaxWorkers>},
    {"max-workers", "N", "as many when there is much to do (as --workers)", Kind::integer,
     set_number<&Options::max_workers, 1, Options::kMaxWorkers>},
    {"cpu-affinity", "auto|off|LIST", "run each worker on one of these CPUs, as 0,2-3 (off)",
     Kind::integer_or_text, set_cpu_affinity},
    {"accept", "shared|reuseport|lock|file-lock|pass", "how workers come by connections (shared)",
     Kind::text, set_named<&Options::accept, models::kAcceptStrategies, kAcceptNames>},
    {"defer-accept", "on|off", "accept a client when it has sent something (off)", Kind::toggle,
     set_toggle<&Options::defer_accept>},
    {"listen", "ADDR:PORT",
     "where to listen (127.0.0.1:8080), also [ADDR6]:PORT, unix:PATH; repeatable", Kind::texts,
     set_addresses<&Options::listen>},
    {"status", "PATH|off", "show the server at PATH/status, PATH/status.json, PATH/metrics (off)",
     Kind::text, set_status},
    {"status-from", "loopback|all", "who may see that, and /status of the built-in site (loopback)",
     Kind::text, set_status_from},
    {"pid-file", "FILE", "lock it and write the master's pid into it", Kind::text,
     set_text<&Options::pid_file>},
    {"access-log", "FILE|-|off", "one line for each request; -: standard output (off)", Kind::text,
     set_text<&Options::access_log>},
    {"access-log-format", "common|combined|json", "how its lines are written (combined)",
     Kind::text, set_named<&Options::access_log_format, kAccessFormats, kFormatNames>},
    {"error-log", "FILE|-", "what goes wrong; -: standard error (default)", Kind::text,
     set_text<&Options::error_log>},
    {"user", "NAME", "run the workers as this user", Kind::text, set_text<&Options::user>},
    {"group", "NAME", "run the workers as this group", Kind::text, set_text<&Options::group>},
    {"seccomp", "on|off", "end a worker that makes an unusual system call (on, without --cgi)",
     Kind::toggle, set_toggle<&Options::seccomp>},
    {"graceful-timeout", "TIME", "how long draining workers may take (30s)", Kind::duration,
     set_duration<&Options::graceful_timeout>},
    {"header-timeout", "TIME", "how long the head of a request may take (10s)", Kind::duration,
     set_duration<&Options::header_timeout>},
    {"idle-timeout", "TIME", "how long a connection may wait for its next request (60s)",
     Kind::duration, set_duration<&Options::idle_timeout>},
    {"send-timeout", "TIME", "how long an answer may make no progress (30s)", Kind::duration,
     set_duration<&Options::send_timeout>},
    {"timeout", "TIME|off", "abort and replace a worker that hangs for so long (60s)",
     Kind::duration, set_timeout},
    {"max-requests", "N", "replace a worker after so many requests; 0 (default): never",
     Kind::integer, set_number<&Options::max_requests, 0, std::uint64_t{1} << 40>},
    {"max-requests-jitter", "N", "and up to so many more, at random (0)", Kind::integer,
     set_number<&Options::max_requests_jitter, 0, std::uint64_t{1} << 40>},
    {"max-rss", "SIZE", "replace a worker that occupies more memory; 0 (default): never",
     Kind::integer_or_text, set_size<&Options::max_rss>},
    {"max-rss-hard", "SIZE", "end a worker that occupies more, with its connections (0)",
     Kind::integer_or_text, set_size<&Options::max_rss_hard>},
    {"cgi-timeout", "TIME", "how long a CGI program may write nothing (30s)", Kind::duration,
     set_duration<&Options::cgi_timeout>},
    {"cgi-programs", "N", "CGI programs that run at once in each worker (16)", Kind::integer,
     set_number<&Options::cgi_programs, 1, 10'000>},
    {"max-body", "BYTES", "the largest body of a request (1048576)", Kind::integer,
     set_number<&Options::max_body, 0, std::uint64_t{1} << 40>},
    {"max-connections", "N", "connections open at once in each worker (4096)", Kind::integer,
     set_number<&Options::max_connections, 1, 1'000'000>},
};

// Of all files, of a host, or of a path.
constexpr Setting<SiteSettings> kSiteSettings[] = {
    {"root", "DIR", "serve the files beneath it, instead of the built-in site", Kind::text,
     set_text<&SiteSettings::root>},
    {"cgi", "DIR", "run the programs beneath it (CGI), instead of serving files", Kind::text,
     set_text<&SiteSettings::cgi>},
    {"gzip", "on|off", "compress text for who takes it (on)", Kind::toggle,
     set_toggle<&SiteSettings::gzip>},
    {"precompressed", "on|off", "send FILE.br and FILE.gz for FILE to who takes them (off)",
     Kind::toggle, set_toggle<&SiteSettings::precompressed>},
    {"listing", "on|off", "show what is in a directory without index.html (off)", Kind::toggle,
     set_toggle<&SiteSettings::listing>},
    {"dot-files", "on|off", "serve names that begin with a dot (off)", Kind::toggle,
     set_toggle<&SiteSettings::dot_files>},
    {"symlinks", "on|off", "follow symbolic links that stay beneath the root (on)", Kind::toggle,
     set_toggle<&SiteSettings::symlinks>},
    {"writable", "on|off", "let clients PUT and DELETE files (off)", Kind::toggle,
     set_toggle<&SiteSettings::writable>},
    {"headers", "NAME: VALUE", "a field for every answer; repeatable", Kind::texts, set_headers},
    {"cache-control", "VALUE", "this field for every file", Kind::text, set_cache_control},
    {"error-pages", "STATUS PATH", "a file beneath the root for a status; repeatable", Kind::texts,
     set_error_pages},
    {"redirect", "STATUS URI", "redirect everything, with the rest of the path for a final *",
     Kind::text, set_redirect},
    {"users", "FILE", "only for those in it, lines of NAME:HASH", Kind::text, set_users},
    {"realm", "TEXT", "what they are asked for (procpool)", Kind::text, set_realm},
};

// Lays one file over options.
class FileReader {
 public:
  FileReader(const std::string& path, const std::optional<std::string>& text) : file_{path, text} {}

  Origins read(Options& options, const CommandLine& command_line) {
    for (const auto& [key, node] : file_.top()) {
      if (key == "host" || key == "path") continue;
      if (!file_.take(kSettings, options, key, node) &&
          !file_.take(kSiteSettings, options.site, key, node))
        refuse_unknown(key, {"host", "path"}, true);
    }
    apply(command_line, options);
    file_.for_each_table(file_.top(), "path",
                         [&](const toml::table& table, const std::string& prefix) {
                           options.paths.push_back(read_path(table, options.site, prefix));
                         });
    file_.for_each_table(file_.top(), "host",
                         [&](const toml::table& table, const std::string& prefix) {
                           options.hosts.push_back(read_host(table, options.site, prefix));
                         });
    return file_.take_origins();
  }

 private:
  [[noreturn]] void refuse_unknown(const toml::key& key, std::vector<std::string_view> known,
                                   bool at_top = false) const {
    append_names(kSiteSettings, known);
    if (at_top) append_names(kSettings, known);
    file_.refuse_unknown(key, known);
  }

  PathSettings read_path(const toml::table& table, const SiteSettings& around,
                         const std::string& prefix) {
    PathSettings path{.prefix = {}, .site = around};
    for (const auto& [key, node] : table) {
      if (key == "prefix") {
        path.prefix = path_of(key, node);
      } else if (key == "suffix") {
        path.suffix = suffix_of(key, node);
      } else if (!file_.take(kSiteSettings, path.site, key, node, prefix)) {
        refuse_unknown(key, {"prefix", "suffix"});
      }
    }
    if (path.prefix.empty() && path.suffix.empty())
      file_.refuse(table, "path", "needs a prefix or a suffix");
    if (path.prefix.empty()) path.prefix = "/";
    return path;
  }

  // As it will be looked up: "/" and segments.
  std::string path_of(const toml::key& key, const toml::node& node) const {
    const auto text = node.value<std::string>().value_or("");
    std::string path{"/"};
    if (!node.is_string() || !text.starts_with('/') ||
        resolve_target(text, path).status != Status::ok) {
      file_.refuse(node, key.str(), "must be a path, as \"/private\"");
    }
    return path == "/." ? "/" : path;
  }

  std::string suffix_of(const toml::key& key, const toml::node& node) const {
    auto suffix = node.value<std::string>().value_or("");
    if (!node.is_string() || suffix.empty() || suffix.find_first_of("/*") != suffix.npos)
      file_.refuse(node, key.str(), "must be the end of a file's name, as \".html\"");
    return suffix;
  }

  HostSettings read_host(const toml::table& table, const SiteSettings& around,
                         const std::string& prefix) {
    HostSettings host{.names = {}, .site = around, .paths = {}};
    for (const auto& [key, node] : table) {
      if (key == "path") continue;
      if (key == "names") {
        host.names = names_of(key, node);
      } else if (!file_.take(kSiteSettings, host.site, key, node, prefix)) {
        refuse_unknown(key, {"names", "path"});
      }
    }
    if (host.names.empty()) file_.refuse(table, "host", "needs names");
    file_.for_each_table(
        table, "path",
        [&](const toml::table& path, const std::string& path_prefix) {
          host.paths.push_back(read_path(path, host.site, path_prefix));
        },
        prefix);
    return host;
  }

  Values names_of(const toml::key& key, const toml::node& node) {
    const auto names = program::detail::values_of(node, Kind::texts);
    if (!names) file_.refuse(node, key.str(), program::detail::expectation(Kind::texts));
    for (const std::string& text : *names) {
      std::string name;
      append_host_name(text, name);
      const std::string_view labels = std::string_view{name}.substr(name.starts_with("*.") ? 2 : 0);
      if (labels.empty() || labels.find_first_of("*/ ") != labels.npos)
        file_.refuse(node, key.str(),
                     "must be names of hosts, as \"example.org\" or \"*.example.org\"");
      if (!names_.insert(name).second)
        file_.refuse(node, key.str(), "has \"" + name + "\" a second time");
    }
    return *names;
  }

  SettingsFile file_;
  std::set<std::string> names_;  // of all hosts
};

// --- what only the system can tell ---

void check_folders(const SiteSettings& site, const std::optional<proc::Credentials>& user,
                   const Origins& origins, const std::string& prefix) {
  if (!site.root.empty()) check_folder(site.root, "root", user, origins, prefix);
  if (!site.cgi.empty()) check_folder(site.cgi, "cgi", user, origins, prefix);
  if (site.root.empty() && site.cgi.empty() && !site.redirect && !prefix.empty())
    throw OptionsError{origins.find(prefix)->second, "root", "is missing"};
}

}  // namespace

Origins load_config(const std::string& path, Options& options, const CommandLine& command_line) {
  return FileReader{path, command_line.config_text}.read(options, command_line);
}

void apply(const CommandLine& command_line, Options& options) {
  for (const auto& [key, values] : command_line.settings) {
    if (!apply_flag(kSettings, options, key, values))
      apply_flag(kSiteSettings, options.site, key, values);
  }
}

CommandLine parse_command_line(int argc, const char* const* argv) {
  CommandLine result;
  CommandLineParser parser{"procpool-httpd",
                           "A pre-fork HTTP server. Signals: HUP reloads, USR2 upgrades, TERM "
                           "drains and ends, USR1 reopens the logs.",
                           result};
  const auto* const hash = parser.app()
                               .add_option("--hash-password", result.hash_password_for,
                                           "read a password, write a line for --users, and end")
                               ->option_text("NAME");
  parser.offer(kSettings);
  parser.offer(kSiteSettings);
  parser.parse(argc, argv);
  if (hash->count() > 0 && result.action != CommandLine::Action::show) {
    const std::string& user = result.hash_password_for;
    if (user.empty() || user.find_first_of(":\n#") != user.npos)
      throw OptionsError{"option", "--hash-password", "must be a name without ':' and '#'"};
    result.action = CommandLine::Action::own;
  }
  Options scratch;
  apply(result, scratch);
  return result;
}

namespace {

// With the prefix of its keys in the origins.
template <typename Function>
void for_each_site(const Options& options, Function function) {
  const auto each_path = [&](const std::vector<PathSettings>& paths, const std::string& prefix) {
    for (std::size_t i = 0; i < paths.size(); ++i)
      function(paths[i].site, prefix + "path." + std::to_string(i) + ".");
  };
  function(options.site, "");
  each_path(options.paths, "");
  for (std::size_t i = 0; i < options.hosts.size(); ++i) {
    const std::string prefix = "host." + std::to_string(i) + ".";
    function(options.hosts[i].site, prefix);
    each_path(options.hosts[i].paths, prefix);
  }
}

}  // namespace

std::optional<proc::Credentials> credentials_of(const Options& options) {
  return program::credentials_of(options.user, options.group);
}

namespace {

void check_workers(const Options& options, const Origins& origins) {
  const auto [workers, least, most] =
      std::tuple{options.workers, options.min_workers, options.max_workers};
  if (least != 0 && most != 0 && least > most)
    refuse(origins, "min-workers", "must not be more than max-workers");
  if (workers != 0 && workers < least)
    refuse(origins, "min-workers", "must not be more than workers");
  if (most != 0 && workers > most) refuse(origins, "max-workers", "must not be less than workers");
}

void check_cpus(const Options& options, const Origins& origins) {
  if (!options.cpu_affinity) return;
  const models::CpuList allowed = models::allowed_cpus();
  for (const int cpu : *options.cpu_affinity) {
    if (!std::binary_search(allowed.begin(), allowed.end(), cpu))
      refuse(origins, "cpu-affinity",
             "has CPU " + std::to_string(cpu) + ", on which this process may not run");
  }
}

// A program that a worker starts would be in the worker's sandbox.
bool runs_programs(const Options& options) {
  bool any = false;
  for_each_site(options, [&](const SiteSettings& site, const std::string&) {
    any = any || (!site.cgi.empty() && !site.redirect);
  });
  return any;
}

void check_seccomp(const Options& options, const Origins& origins) {
  if (!options.seccomp.value_or(false)) return;
  if (!models::sandbox_is_available())
    refuse(origins, "seccomp", "is not available in this build or on this kernel");
  if (runs_programs(options))
    refuse(origins, "seccomp", "cannot be on beside cgi: programs need more system calls");
}

}  // namespace

bool has_sandbox(const Options& options) {
  return options.seccomp.value_or(models::sandbox_is_available() && !runs_programs(options));
}

void validate(const Options& options, const Origins& origins) {
  check_workers(options, origins);
  check_seccomp(options, origins);
  check_cpus(options, origins);
  const auto user = program::check_user(options.user, options.group, origins);
  for_each_site(options, [&](const SiteSettings& site, const std::string& prefix) {
    check_folders(site, user, origins, prefix);
  });
}

Options load_options(const CommandLine& command_line) {
  return program::load_options<Options>(command_line);
}

}  // namespace procpool::http
