#include "proc/activation.hpp"

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

#include "ipc/base/error.hpp"
#include "proc/detail/environment.hpp"

namespace procpool::proc {
namespace {

using detail::take_variable;
using detail::whole_number;

constexpr int kFirst = 3;  // SD_LISTEN_FDS_START

// Colons separate them; there may be empty ones.
std::vector<std::string> names_in(const std::optional<std::string>& list, std::size_t count) {
  if (!list) return std::vector<std::string>(count, "unknown");
  std::vector<std::string> names{""};
  for (const char letter : *list) {
    if (letter == ':') {
      names.emplace_back();
    } else {
      names.back() += letter;
    }
  }
  if (names.size() != count) {
    throw Error{"LISTEN_FDNAMES", *list, "does not name " + std::to_string(count) + " descriptors"};
  }
  return names;
}

}  // namespace

std::vector<ActivatedDescriptor> take_activated_descriptors() {
  const auto pid = take_variable("LISTEN_PID");
  const auto count = take_variable("LISTEN_FDS");
  const auto names = take_variable("LISTEN_FDNAMES");
  constexpr std::uint64_t kMostInt = std::numeric_limits<int>::max();
  if (!pid || !count) return {};
  if (whole_number("LISTEN_PID", *pid, kMostInt) != static_cast<std::uint64_t>(::getpid())) {
    return {};
  }
  const auto number =
      static_cast<std::size_t>(whole_number("LISTEN_FDS", *count, kMostInt - kFirst));

  // All are looked at before any is owned: what is not ours is not closed.
  for (std::size_t i = 0; i < number; ++i) {
    const int fd = kFirst + static_cast<int>(i);
    if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) throw_errno("LISTEN_FDS", std::to_string(fd));
  }
  std::vector<ActivatedDescriptor> passed;
  for (std::string& name : names_in(names, number)) {
    const int fd = kFirst + static_cast<int>(passed.size());
    passed.push_back({UniqueFd{fd}, std::move(name)});
  }
  return passed;
}

}  // namespace procpool::proc
