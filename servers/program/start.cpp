#include "servers/program/start.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "ipc/base/error.hpp"
#include "servers/program/setting.hpp"

namespace procpool::program {
namespace {

std::vector<std::string> environment_for_successor() {
  constexpr std::array kOwn{"LISTEN_", "WATCHDOG_PID=", "PROCPOOL_SUCCEEDS="};
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text{*entry};
    if (std::ranges::none_of(kOwn, [&](const char* own) { return text.starts_with(own); }))
      environment.emplace_back(text);
  }
  return environment;
}

}  // namespace

Start take_start(int argc, char** argv) {
  Start start{.argv = {argv, argv + argc},
              .environment = environment_for_successor(),
              .predecessor = models::Predecessor::of_this_process(),
              .activated = proc::take_activated_descriptors(),
              .manager = proc::Notifier::from_environment()};
  return start;
}

models::Inheritance inherit(Start& start, const std::vector<net::Address>& listen) {
  if (start.predecessor) return std::move(start.inheritance);
  models::Inheritance all;
  for (proc::ActivatedDescriptor& passed : start.activated) {
    auto listener = net::Listener::adopt(std::move(passed.fd));
    const net::Address address = listener.address();
    if (std::ranges::find(listen, address) == listen.end()) {
      throw OptionsError{"listen", address.text(),
                         "is a socket that was passed to this program, which \"listen\" does not "
                         "name"};
    }
    all.sockets.push_back({address, std::move(listener)});
  }
  return all;
}

void open_missing_standard_descriptors() {
  for (;;) {
    const int fd = ::open("/dev/null", O_RDWR);
    if (fd < 0) throw_errno("open", "/dev/null");
    if (fd > STDERR_FILENO) {
      ::close(fd);
      return;
    }
  }
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) < 0) throw_errno("getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) < 0) throw_errno("setrlimit");
}

}  // namespace procpool::program
