// What every session of the FTP server is told: a value, made from the configuration.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "proc/credentials.hpp"
#include "servers/ftp/data_link.hpp"
#include "servers/ftp/quota.hpp"
#include "servers/ftp/transfer_log.hpp"
#include "servers/ftp/users.hpp"
#include "servers/models/sandbox.hpp"

namespace procpool::ftp {

struct Settings {
  std::string greeting = "procpool-ftpd";
  std::string
      anonymous{};  // the root of what "anonymous" and "ftp" see; empty: they may not log in
  Users users{};
  QuotaMemory quotas{};  // take_quotas(): needed if a user has a quota

  // Users of the system may log in, each with his own rights. Then sessions begin as root, see
  // detail/admission.hpp, and who is no user of the system is served as `run_as`, which must be
  // set, as is who has not yet logged in.
  bool system_users = false;
  std::optional<proc::Credentials> run_as{};

  std::chrono::milliseconds login_timeout{60'000};   // until somebody is logged in
  std::chrono::milliseconds idle_timeout{300'000};   // between commands
  std::chrono::milliseconds data_timeout{300'000};   // in which nothing moves in a transfer
  std::chrono::milliseconds accept_timeout{60'000};  // for the data connection
  unsigned login_failures = 3;                       // the last one ends the session

  PortRange passive_ports = kernel_ports();
  std::string passive_host{};  // what PASV says, behind an address translation; empty: the server's

  mode_t umask = 022;
  bool durable = false;        // an upload is on the disk before it is acknowledged
  std::string transfer_log{};  // "off" or empty: none, "-": standard output
  TransferLogFormat transfer_log_format = TransferLogFormat::xferlog;

  // Of models::SandboxFor::session, where that is available; null: no sandbox.
  std::shared_ptr<const models::SandboxFilter> sandbox{};
};

using SettingsPtr = std::shared_ptr<const Settings>;

}  // namespace procpool::ftp
