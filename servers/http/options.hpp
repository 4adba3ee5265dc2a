// What procpool-httpd can be told, by its command line and by its configuration file.
//
//   const CommandLine command_line = parse_command_line(argc, argv);
//   Options options = load_options(command_line);    // and again at each reload
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proc/credentials.hpp"
#include "servers/http/access_format.hpp"
#include "servers/http/site_settings.hpp"
#include "servers/models/accept_strategy.hpp"
#include "servers/models/cpu_list.hpp"
#include "servers/program/command_line.hpp"
#include "servers/program/setting.hpp"

namespace procpool::http {

// Every setting, with its default. Durations are seconds, or text with a unit: 2.5, "30s", "500ms".
// In the file each has the key of its flag's name without the dashes:
// --graceful-timeout 5s is graceful-timeout = "5s" (or 5); a repeatable flag is an array.
struct Options {
  // Two generations of them have room on the scoreboard.
  static constexpr unsigned kMaxWorkers = 256;

  unsigned workers = 0;      // 0: auto, one for each CPU that the process may use
  unsigned min_workers = 0;  // 0: as many as `workers`
  unsigned max_workers = 0;
  std::optional<models::CpuList> cpu_affinity;  // empty: all that the process may use
  models::AcceptStrategy accept = models::AcceptStrategy::shared;
  bool defer_accept = false;                          // until a client has sent something
  std::vector<std::string> listen{"127.0.0.1:8080"};  // ADDR:PORT, [ADDR6]:PORT or unix:PATH
  SiteSettings site;                                  // what is served, but for
  std::vector<PathSettings> paths;                    // these paths,
  std::vector<HostSettings> hosts;                    // and these hosts; of the file only
  std::string status;                                 // what shows the server; empty: not
  bool status_to_all = false;                         // false: to this machine only
  std::string pid_file;                               // empty: none
  std::string access_log = "off";                     // a file, "-" (standard output) or "off"
  AccessFormat access_log_format = AccessFormat::combined;
  std::string error_log = "-";  // a file, or "-" (standard error)
  std::string user;             // a name or a number; empty: as started
  std::string group;            // empty: the user's own
  std::optional<bool> seccomp;  // workers in a sandbox; unset: if there is one and no `cgi`

  // For draining workers; then they are stopped.
  std::chrono::milliseconds graceful_timeout{30'000};
  // From a request's first byte to the end of its head.
  std::chrono::milliseconds header_timeout{10'000};
  // Between two requests on one connection.
  std::chrono::milliseconds idle_timeout{60'000};
  // Without progress while an answer is sent.
  std::chrono::milliseconds send_timeout{30'000};

  // A worker whose loop makes no step for so long is aborted and replaced; 0: never.
  std::chrono::milliseconds timeout{60'000};

  // A worker is replaced after so many requests, and up to so many more, or bytes of memory; 0:
  // never.
  std::uint64_t max_requests = 0;
  std::uint64_t max_requests_jitter = 0;
  std::uint64_t max_rss = 0;
  std::uint64_t max_rss_hard = 0;  // at once

  // Of CGI programs; see CgiLimits.
  std::chrono::milliseconds cgi_timeout{30'000};
  unsigned cgi_programs = 16;

  std::uint64_t max_body = 1'048'576;  // bytes of a request's body
  unsigned max_connections = 4096;     // open at once, in each worker

  bool operator==(const Options&) const = default;
};

using program::OptionsError;
using program::Origins;

// Its own action: read a password from standard input, print a line for this user.
struct CommandLine : program::CommandLine {
  std::string hash_password_for;
};

// Throws OptionsError for a flag that is unknown, lacks its value, or whose value is wrong.
CommandLine parse_command_line(int argc, const char* const* argv);

// The keys of hosts and paths have the prefixes "host.0.", "path.0." and "host.0.path.1.". Lays the
// TOML file over `options`, and over its top level the command line: hosts and paths begin
// with what holds around them. Throws OptionsError naming file, line, column and key: not readable,
// not TOML, an unknown key, a wrong type, a value out of range.
Origins load_config(const std::string& path, Options& options,
                    const CommandLine& command_line = {});

// Lays the command line's settings over `options`. A repeatable one replaces the whole list.
void apply(const CommandLine& command_line, Options& options);

// Whom the workers run as; nullopt: as started. Throws Error: no such user or group. May block
// (NSS).
std::optional<proc::Credentials> credentials_of(const Options& options);

// Whether the workers are in a sandbox.
bool has_sandbox(const Options& options);

// Throws OptionsError for what only the system can tell: there is no such user or group, or the
// root is not a directory in which the workers can look for files. A child tries that, as their
// user; throws Error if it may not become this user. Names the origin, or else the flag.
void validate(const Options& options, const Origins& origins = {});

// The defaults, under the file, under the command line; validated.
Options load_options(const CommandLine& command_line);

}  // namespace procpool::http
