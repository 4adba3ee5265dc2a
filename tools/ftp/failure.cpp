#include "tools/ftp/failure.hpp"

namespace procpool::ftp_client {
namespace {

constexpr ExitMeaning kMeanings[] = {
    {ExitCode::ok, "all was done"},
    {ExitCode::failed, "something failed on this side: a file, the disk"},
    {ExitCode::usage, "wrong usage, or a URL that is none"},
    {ExitCode::no_connection, "the server could not be reached, or has hung up"},
    {ExitCode::login_refused, "the login was refused"},
    {ExitCode::transfer_failed, "a transfer failed: cut, another size, or some files of many"},
    {ExitCode::refused, "the server said no: no such file, no permission"},
    {ExitCode::timed_out, "nothing came for as long as --timeout says"},
    {ExitCode::protocol, "the server does not speak FTP as it should"},
    {ExitCode::interrupted, "Ctrl-C"},
};

}  // namespace

std::span<const ExitMeaning> exit_meanings() {
  return kMeanings;
}

ExitCode exit_code_of(const std::exception& error) noexcept {
  const auto* const failure = dynamic_cast<const Failure*>(&error);
  return failure != nullptr ? failure->exit_code() : ExitCode::failed;
}

}  // namespace procpool::ftp_client
