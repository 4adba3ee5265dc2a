#include "servers/http/options.hpp"

#include <fcntl.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include <CLI/CLI.hpp>

#include "ipc/base/io.hpp"
#include "ipc/base/unique_fd.hpp"
#include "proc/process.hpp"
#include "servers/http/detail/grammar.hpp"
#include "servers/http/detail/nearest_name.hpp"
#include "servers/http/detail/toml.hpp"
#include "servers/http/site_map.hpp"
#include "servers/http/target.hpp"
#include "servers/models/sandbox.hpp"
#include "servers/net/address.hpp"

namespace procpool::http {
namespace {

using Values = std::vector<std::string>;

// What a key of the file may hold. A flag is always text.
enum class Kind { text, texts, integer, integer_or_text, duration, toggle };

// One setting: how it is called, and how a value becomes a member of its target. `set` returns the
// reason why not; empty: done. Only `texts` means more than one value;
// of all others the last one counts.
template <typename Target>
struct Setting {
  const char* key;
  const char* placeholder;
  const char* help;
  Kind kind;
  std::string (*set)(Target&, const Values&);
};

template <auto member, typename Target>
std::string set_text(Target& target, const Values& values) {
  target.*member = values.back();
  return {};
}

template <auto member, typename Target>
std::string set_toggle(Target& target, const Values& values) {
  const std::string& value = values.back();
  if (value != "on" && value != "off") return "must be on or off, not \"" + value + "\"";
  target.*member = value == "on";
  return {};
}

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

// One of `all` by its name_of(); `names` is for people.
template <auto member, const auto& all, const auto& names>
std::string set_named(Options& options, const Values& values) {
  const auto named = std::find_if(all.begin(), all.end(),
                                  [&](auto value) { return name_of(value) == values.back(); });
  if (named == all.end())
    return std::string{"must be "} + names + ", not \"" + values.back() + "\"";
  options.*member = *named;
  return {};
}

constexpr char kAcceptNames[] = "shared, reuseport, lock or pass";
constexpr char kFormatNames[] = "common, combined or json";

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

std::string set_timeout(Options& options, const Values& values) {
  if (values.back() != "off") return set_duration<&Options::timeout>(options, values);
  options.timeout = std::chrono::milliseconds{0};
  return {};
}

template <auto member>
std::string set_size(Options& options, const Values& values) {
  constexpr std::uint64_t kLargest = std::uint64_t{1} << 50;
  const std::string& text = values.back();
  const char* const end = text.data() + text.size();
  std::uint64_t number = 0;
  const auto parsed = std::from_chars(text.data(), end, number);
  const std::string_view unit{parsed.ptr, static_cast<std::size_t>(end - parsed.ptr)};
  const auto shift = unit.empty() ? 0 : unit == "K" ? 10 : unit == "M" ? 20 : unit == "G" ? 30 : -1;
  if (parsed.ec != std::errc{} || shift < 0 || number > kLargest >> shift)
    return "must be a number of bytes, as 1048576, \"1024K\" or \"1M\", not \"" + text + "\"";
  options.*member = number << shift;
  return {};
}

constexpr Setting<Options> kSettings[] = {
    {"workers", "N|auto", "worker processes; auto (default): one for each usable CPU",
     Kind::integer_or_text, set_workers},
    {"min-workers", "N", "as few when there is little to do (as --workers)", Kind::integer,
     set_number<&Options::min_workers, 1u, Options::kMaxWorkers>},
    {"max-workers", "N", "as many when there is much to do (as --workers)", Kind::integer,
     set_number<&Options::max_workers, 1u, Options::kMaxWorkers>},
    {"cpu-affinity", "auto|off|LIST", "run each worker on one of these CPUs, as 0,2-3 (off)",
     Kind::integer_or_text, set_cpu_affinity},
    {"accept", "shared|reuseport|lock|pass", "how workers come by connections (shared)", Kind::text,
     set_named<&Options::accept, models::kAcceptStrategies, kAcceptNames>},
    {"listen", "ADDR:PORT",
     "where to listen (127.0.0.1:8080), also [ADDR6]:PORT, unix:PATH; repeatable", Kind::texts,
     set_listen},
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
     Kind::integer, set_number<&Options::max_requests, std::uint64_t{0}, std::uint64_t{1} << 40>},
    {"max-requests-jitter", "N", "and up to so many more, at random (0)", Kind::integer,
     set_number<&Options::max_requests_jitter, std::uint64_t{0}, std::uint64_t{1} << 40>},
    {"max-rss", "SIZE", "replace a worker that occupies more memory; 0 (default): never",
     Kind::integer_or_text, set_size<&Options::max_rss>},
    {"max-rss-hard", "SIZE", "end a worker that occupies more, with its connections (0)",
     Kind::integer_or_text, set_size<&Options::max_rss_hard>},
    {"cgi-timeout", "TIME", "how long a CGI program may write nothing (30s)", Kind::duration,
     set_duration<&Options::cgi_timeout>},
    {"cgi-programs", "N", "CGI programs that run at once in each worker (16)", Kind::integer,
     set_number<&Options::cgi_programs, 1u, 10'000u>},
    {"max-body", "BYTES", "the largest body of a request (1048576)", Kind::integer,
     set_number<&Options::max_body, std::uint64_t{0}, std::uint64_t{1} << 40>},
    {"max-connections", "N", "connections open at once in each worker (4096)", Kind::integer,
     set_number<&Options::max_connections, 1u, 1'000'000u>},
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

template <typename Target, std::size_t size>
const Setting<Target>* find_setting(const Setting<Target> (&all)[size],
                                    std::string_view key) noexcept {
  const auto found =
      std::find_if(std::begin(all), std::end(all),
                   [&](const Setting<Target>& setting) { return key == setting.key; });
  return found == std::end(all) ? nullptr : found;
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
  return path + ":" + std::to_string(source.begin.line) + ":" + std::to_string(source.begin.column);
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

// Lays one file over options.
class FileReader {
 public:
  explicit FileReader(const std::string& path) : path_{path}, file_{parse_file(path)} {}

  Origins read(Options& options, const CommandLine& command_line) {
    for (const auto& [key, node] : file_) {
      if (key == "host" || key == "path") continue;
      if (!take(kSettings, options, key, node, "") &&
          !take(kSiteSettings, options.site, key, node, ""))
        refuse_unknown(key, {"host", "path"}, true);
    }
    apply(command_line, options);
    for_each_table(file_, "path", [&](const toml::table& table, const std::string& prefix) {
      options.paths.push_back(read_path(table, options.site, prefix));
    });
    for_each_table(file_, "host", [&](const toml::table& table, const std::string& prefix) {
      options.hosts.push_back(read_host(table, options.site, prefix));
    });
    return std::move(origins_);
  }

 private:
  // `where` is the key or its value, whichever is wrong.
  template <typename Where>
  [[noreturn]] void refuse(const Where& where, std::string_view key,
                           std::string_view reason) const {
    throw OptionsError{place(path_, where.source()), key, reason};
  }

  // With the one that may be meant: of the settings, or one of `others`.
  [[noreturn]] void refuse_unknown(const toml::key& key, std::vector<std::string_view> others,
                                   bool at_top = false) const {
    for (const auto& setting : kSiteSettings) others.emplace_back(setting.key);
    if (at_top) {
      for (const auto& setting : kSettings) others.emplace_back(setting.key);
    }
    const std::string_view meant = nearest_name(key.str(), others);
    refuse(key, key.str(),
           meant.empty() ? "unknown key" : "unknown key; is \"" + std::string{meant} + "\" meant?");
  }

  // False: it is none of these. `prefix` is of the key in the origins.
  template <typename Target, std::size_t size>
  bool take(const Setting<Target> (&all)[size], Target& target, const toml::key& key,
            const toml::node& node, const std::string& prefix) {
    const auto* const setting = find_setting(all, key.str());
    if (setting == nullptr) return false;
    const auto values = values_of(node, setting->kind);
    const std::string reason = values ? setting->set(target, *values) : expectation(setting->kind);
    if (!reason.empty()) refuse(node, key.str(), reason);
    origins_.emplace(prefix + std::string{key.str()}, place(path_, node.source()));
    return true;
  }

  // Of an array of tables; its prefix in the origins is "host.0.".
  template <typename Function>
  void for_each_table(const toml::table& parent, std::string_view key, Function function,
                      const std::string& prefix = {}) {
    const auto found = parent.find(key);
    if (found == parent.end()) return;
    const toml::array* const tables = found->second.as_array();
    if (tables == nullptr || !tables->is_array_of_tables())
      refuse(found->first, key, "must be tables, as [[" + std::string{key} + "]]");
    for (std::size_t i = 0; i < tables->size(); ++i) {
      const toml::table& table = *(*tables)[i].as_table();
      const std::string its = prefix + std::string{key} + "." + std::to_string(i) + ".";
      origins_.emplace(its, place(path_, table.source()));
      function(table, its);
    }
  }

  PathSettings read_path(const toml::table& table, const SiteSettings& around,
                         const std::string& prefix) {
    PathSettings path{.prefix = {}, .site = around};
    for (const auto& [key, node] : table) {
      if (key == "prefix") {
        path.prefix = path_of(key, node);
      } else if (key == "suffix") {
        path.suffix = suffix_of(key, node);
      } else if (!take(kSiteSettings, path.site, key, node, prefix)) {
        refuse_unknown(key, {"prefix", "suffix"});
      }
    }
    if (path.prefix.empty() && path.suffix.empty())
      refuse(table, "path", "needs a prefix or a suffix");
    if (path.prefix.empty()) path.prefix = "/";
    return path;
  }

  // As it will be looked up: "/" and segments.
  std::string path_of(const toml::key& key, const toml::node& node) const {
    const auto text = node.value<std::string>().value_or("");
    std::string path{"/"};
    if (!node.is_string() || !text.starts_with('/') ||
        resolve_target(text, path).status != Status::ok) {
      refuse(node, key.str(), "must be a path, as \"/private\"");
    }
    return path == "/." ? "/" : path;
  }

  std::string suffix_of(const toml::key& key, const toml::node& node) const {
    auto suffix = node.value<std::string>().value_or("");
    if (!node.is_string() || suffix.empty() || suffix.find_first_of("/*") != suffix.npos)
      refuse(node, key.str(), "must be the end of a file's name, as \".html\"");
    return suffix;
  }

  HostSettings read_host(const toml::table& table, const SiteSettings& around,
                         const std::string& prefix) {
    HostSettings host{.names = {}, .site = around, .paths = {}};
    for (const auto& [key, node] : table) {
      if (key == "path") continue;
      if (key == "names") {
        host.names = names_of(key, node);
      } else if (!take(kSiteSettings, host.site, key, node, prefix)) {
        refuse_unknown(key, {"names", "path"});
      }
    }
    if (host.names.empty()) refuse(table, "host", "needs names");
    for_each_table(
        table, "path",
        [&](const toml::table& path, const std::string& path_prefix) {
          host.paths.push_back(read_path(path, host.site, path_prefix));
        },
        prefix);
    return host;
  }

  Values names_of(const toml::key& key, const toml::node& node) {
    const auto names = values_of(node, Kind::texts);
    if (!names) refuse(node, key.str(), expectation(Kind::texts));
    for (const std::string& text : *names) {
      std::string name;
      append_host_name(text, name);
      const std::string_view labels = std::string_view{name}.substr(name.starts_with("*.") ? 2 : 0);
      if (labels.empty() || labels.find_first_of("*/ ") != labels.npos)
        refuse(node, key.str(), "must be names of hosts, as \"example.org\" or \"*.example.org\"");
      if (!names_.insert(name).second)
        refuse(node, key.str(), "has \"" + name + "\" a second time");
    }
    return *names;
  }

  std::string path_;
  toml::table file_;
  Origins origins_;
  std::set<std::string> names_;  // of all hosts
};

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
void check_folder(const std::string& folder, const std::string& key,
                  const std::optional<proc::Credentials>& user, const Origins& origins,
                  const std::string& prefix) {
  const proc::ExitStatus status =
      proc::Process::fork([inside = folder + "/."] { return try_to_open(inside); },
                          {.name = key, .credentials = user, .keep_only = std::vector<int>{}})
          .wait();
  if (status.success()) return;
  const std::string operation = user ? "open as " + user->user : "open";
  const std::string reason = status.code() ? error_text(*status.code()) : status.text();
  refuse(origins, origins.contains(prefix + key) ? prefix + key : key,
         Error{operation, folder, reason}.what());
}

void check_folders(const SiteSettings& site, const std::optional<proc::Credentials>& user,
                   const Origins& origins, const std::string& prefix) {
  if (!site.root.empty()) check_folder(site.root, "root", user, origins, prefix);
  if (!site.cgi.empty()) check_folder(site.cgi, "cgi", user, origins, prefix);
  if (site.root.empty() && site.cgi.empty() && !site.redirect && !prefix.empty())
    throw OptionsError{origins.find(prefix)->second, "root", "is missing"};
}

}  // namespace

Origins load_config(const std::string& path, Options& options, const CommandLine& command_line) {
  return FileReader{path}.read(options, command_line);
}

void apply(const CommandLine& command_line, Options& options) {
  for (const auto& [key, values] : command_line.settings) {
    const auto* const own = find_setting(kSettings, key);
    const std::string reason = own != nullptr
                                   ? own->set(options, values)
                                   : find_setting(kSiteSettings, key)->set(options.site, values);
    if (!reason.empty()) throw OptionsError{"option", "--" + key, reason};
  }
}

namespace {

// For the first word that nobody knows: what may be meant.
[[noreturn]] void refuse_unknown(const CLI::App& app) {
  std::vector<std::string> words = app.remaining(true);
  const auto flag = std::find_if(words.begin(), words.end(),
                                 [](const std::string& word) { return word.starts_with('-'); });
  std::string wrong = flag == words.end() ? words.front() : *flag;
  wrong.resize(std::min(wrong.find('='), wrong.size()));
  const bool is_flag = flag != words.end();
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands(nullptr)) {
    if (!is_flag) names.push_back(command->get_name());
  }
  for (const CLI::Option* option : app.get_options()) {
    if (is_flag) names.push_back(option->get_name());
  }
  const std::string meant{nearest_name(wrong, {names.begin(), names.end()})};
  const std::string reason = is_flag ? "unknown option" : "unknown command";
  throw OptionsError{is_flag ? "option" : "command", wrong,
                     meant.empty() ? reason : reason + "; is \"" + meant + "\" meant?"};
}

}  // namespace

CommandLine parse_command_line(int argc, const char* const* argv) {
  CommandLine result;
  CLI::App app{
      "A pre-fork HTTP server. Signals: HUP reloads, USR2 upgrades, TERM drains and ends, USR1 "
      "reopens "
      "the logs."};
  app.name("procpool-httpd");
  app.set_help_flag("-h,--help", "show this and end");
  app.set_version_flag("--version", "procpool-httpd " PROCPOOL_VERSION, "show the version and end");
  app.add_option("--config", result.config, "read settings from this TOML file; flags win")
      ->option_text("FILE");
  bool check = false;
  app.add_flag("--check", check, "read and judge the configuration, and end");

  app.add_flag("--daemon", result.daemon, "go to the background when it serves");

  std::string pid_file;
  const auto offer_control = [&](const char* name, const char* help, CommandLine::Action action) {
    auto* const control = app.add_subcommand(name, help);
    control->set_help_flag();
    control->add_option("--pid-file", pid_file, "of the server")->required()->option_text("FILE");
    control->callback([&result, action] { result.action = action; });
  };
  offer_control("status", "say whether a server runs; 3: none", CommandLine::Action::status);
  offer_control("reload", "reload it, and say what came of that", CommandLine::Action::reload);
  offer_control("stop", "stop it, and wait for its end", CommandLine::Action::stop);
  offer_control("upgrade", "let the program that is installed now take over, without a gap",
                CommandLine::Action::upgrade);
  app.require_subcommand(0, 1);

  std::string user;
  const auto* const hash =
      app.add_option("--hash-password", user, "read a password, write a line for --users, and end")
          ->option_text("NAME");

  std::vector<std::pair<std::string, Values>> given;
  given.reserve(std::size(kSettings) + std::size(kSiteSettings));
  const auto offer = [&](const auto& setting) {
    Values& values = given.emplace_back(setting.key, Values{}).second;
    app.add_option(std::string{"--"} + setting.key, values, setting.help)
        ->option_text(setting.placeholder)
        ->allow_extra_args(false);
  };
  for (const auto& setting : kSettings) offer(setting);
  for (const auto& setting : kSiteSettings) offer(setting);

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
  } catch (const CLI::ExtrasError&) {
    refuse_unknown(app);
  } catch (const CLI::ParseError& error) {
    throw OptionsError{"command line", "", error.what()};
  }

  if (hash->count() > 0) {
    if (user.empty() || user.find_first_of(":\n#") != user.npos)
      throw OptionsError{"option", "--hash-password", "must be a name without ':' and '#'"};
    result.action = CommandLine::Action::hash_password;
    result.text = user;
    return result;
  }
  if (result.action != CommandLine::Action::run) {
    result.text = pid_file;
    return result;
  }
  if (check) result.action = CommandLine::Action::check;
  for (auto& [key, values] : given) {
    if (!values.empty()) result.settings.emplace_back(std::move(key), std::move(values));
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
  if (options.user.empty()) return std::nullopt;
  const auto group = options.group.empty() ? std::nullopt : std::optional{options.group};
  return proc::Credentials::of(options.user, group);
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
  if (options.user.empty() && !options.group.empty()) {
    refuse(origins, "group", "needs a user beside it");
  }
  std::optional<proc::Credentials> user;
  try {
    user = credentials_of(options);
  } catch (const Error& error) {
    refuse(origins, error.operation() == "group" ? "group" : "user", error.what());
  }
  for_each_site(options, [&](const SiteSettings& site, const std::string& prefix) {
    check_folders(site, user, origins, prefix);
  });
}

Options load_options(const CommandLine& command_line) {
  Options options;
  Origins origins;
  if (command_line.config.empty()) {
    apply(command_line, options);
  } else {
    origins = load_config(command_line.config, options, command_line);
  }
  for (const auto& [key, values] : command_line.settings) origins.erase(key);
  validate(options, origins);
  return options;
}

}  // namespace procpool::http
