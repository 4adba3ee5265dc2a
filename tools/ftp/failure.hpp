// Why something could not be done, and the exit code that says so.
//
//   throw Failure{ExitCode::timed_out, "connect", host, "nothing came for 30 s"};
//   catch (const std::exception& error) { return static_cast<int>(exit_code_of(error)); }
#pragma once

#include <exception>
#include <span>
#include <string_view>

#include "ipc/base/error.hpp"

namespace procpool::ftp_client {

enum class ExitCode : int {
  ok = 0,
  failed = 1,
  usage = 2,
  no_connection = 3,
  login_refused = 4,
  transfer_failed = 5,
  refused = 6,
  timed_out = 7,
  protocol = 8,
  interrupted = 130,  // as a shell says of SIGINT
};

struct ExitMeaning {
  ExitCode code;
  std::string_view words;
};
std::span<const ExitMeaning> exit_meanings();  // of all, in the order of their numbers

// An Error that knows its exit code.
class Failure : public Error {
 public:
  Failure(ExitCode exit_code, std::string_view operation, std::string_view object,
          std::string_view reason)
      : Error{operation, object, reason}, exit_code_{exit_code} {}

  ExitCode exit_code() const noexcept { return exit_code_; }

 private:
  ExitCode exit_code_;
};

// The server said no: a reply of 4yz or 5yz. The connection lives.
class Refused : public Failure {
 public:
  Refused(std::string_view operation, std::string_view object, int reply, std::string_view text)
      : Failure{ExitCode::refused, operation, object, text}, reply_{reply} {}

  int reply() const noexcept { return reply_; }

 private:
  int reply_;
};

// The user pressed Ctrl-C.
class Interrupted : public Failure {
 public:
  Interrupted() : Failure{ExitCode::interrupted, "interrupted", {}, "by the user"} {}
};

// Of whatever was thrown: a Failure's own, else `failed`.
ExitCode exit_code_of(const std::exception& error) noexcept;

}  // namespace procpool::ftp_client
