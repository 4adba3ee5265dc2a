#include "servers/models/inheritance.hpp"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <array>
#include <charconv>
#include <chrono>
#include <span>
#include <sstream>
#include <system_error>
#include <utility>

#include "ipc/base/error.hpp"
#include "proc/detached.hpp"

namespace procpool::models {
namespace {

using namespace std::chrono_literals;
using ipc::Channel;

constexpr std::string_view kVariable = "PROCPOOL_SUCCEEDS";

// Each message is a line: a word, and what belongs to it.
constexpr std::string_view kSocket = "socket ";          // its address, and a descriptor
constexpr std::string_view kHandedOver = "handed-over";  // and two descriptors
constexpr std::string_view kBoard = "board";             // and one
constexpr std::string_view kPidFile = "pid-file";        // and one
constexpr std::string_view kTotals = "totals ";
constexpr std::string_view kLatency = "latency ";  // the sum, and each bucket that is not empty
constexpr std::string_view kEnd = "end";
constexpr std::string_view kRelieved = "relieved";
constexpr std::string_view kDeclined = "declined ";

// For what is in the queue already, or is being written by a process that does nothing else.
constexpr auto kPatience = 10s;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text});
}

std::string_view text_of(const std::vector<std::byte>& message) {
  return {reinterpret_cast<const char*>(message.data()), message.size()};
}

struct Line {
  std::string text;
  std::vector<int> descriptors{};
};

std::string text_of(const proc::LatencyCounts& latency) {
  std::ostringstream text;
  text << kLatency << latency.sum.count();
  for (std::size_t i = 0; i < latency.buckets.size(); ++i) {
    if (latency.buckets[i] != 0) text << ' ' << i << ' ' << latency.buckets[i];
  }
  return text.str();
}

std::vector<Line> lines_of(const Estate& estate) {
  std::vector<Line> lines;
  lines.reserve(estate.sockets.size() + 5);
  for (const Estate::Socket& socket : estate.sockets)
    lines.push_back({std::string{kSocket} + socket.asked.text(), {socket.fd}});
  if (const auto* pair = estate.handed_over)
    lines.push_back({std::string{kHandedOver}, {pair->left.fd(), pair->right.fd()}});
  if (estate.board >= 0) lines.push_back({std::string{kBoard}, {estate.board}});
  if (estate.pid_file >= 0) lines.push_back({std::string{kPidFile}, {estate.pid_file}});
  std::ostringstream totals;
  totals << kTotals << estate.totals.started << ' ' << estate.totals.requests << ' '
         << estate.totals.bytes << ' ' << estate.totals.restarts << ' ' << estate.totals.reloads;
  lines.push_back({totals.str()});
  lines.push_back({text_of(estate.totals.latency)});
  lines.push_back({std::string{kEnd}});
  return lines;
}

// As many as there is room for until the deadline; returns the rest.
std::span<const Line> send(Channel& channel, std::span<const Line> lines, Deadline deadline) {
  while (!lines.empty() &&
         channel.send_until(deadline, bytes_of(lines.front().text), lines.front().descriptors) ==
             Channel::SendResult::sent) {
    lines = lines.subspan(1);
  }
  return lines;
}

void require(bool condition, std::string_view line) {
  if (!condition) throw Error{"upgrade", std::string{line}, "makes no sense"};
}

proc::LatencyCounts latency_of(std::string_view line) {
  std::istringstream numbers{std::string{line.substr(kLatency.size())}};
  proc::LatencyCounts latency;
  std::int64_t sum = 0;
  numbers >> sum;
  require(!numbers.fail(), line);
  latency.sum = std::chrono::nanoseconds{sum};
  for (std::size_t bucket = 0; numbers >> bucket;) {
    require(bucket < latency.buckets.size() && numbers >> latency.buckets[bucket], line);
  }
  require(numbers.eof(), line);
  return latency;
}

void take_line(Inheritance& all, std::string_view line, Channel::Received& received) {
  const std::size_t descriptors = received.descriptor_count;
  if (line.starts_with(kSocket)) {
    require(descriptors == 1, line);
    all.sockets.push_back({net::Address::parse(line.substr(kSocket.size())),
                           net::Listener::adopt(std::move(received.descriptors[0]))});
  } else if (line == kHandedOver) {
    require(descriptors == 2, line);
    all.handed_over.emplace(Channel{std::move(received.descriptors[0])},
                            Channel{std::move(received.descriptors[1])});
  } else if (line == kBoard) {
    require(descriptors == 1, line);
    all.board = std::move(received.descriptors[0]);
  } else if (line == kPidFile) {
    require(descriptors == 1, line);
    all.pid_file = std::move(received.descriptors[0]);
  } else if (line.starts_with(kTotals)) {
    std::istringstream numbers{std::string{line.substr(kTotals.size())}};
    Totals& totals = all.totals;
    numbers >> totals.started >> totals.requests >> totals.bytes >> totals.restarts >>
        totals.reloads;
    require(!numbers.fail(), line);
  } else if (line.starts_with(kLatency)) {
    all.totals.latency = latency_of(line);
  }
}

bool is_channel(int fd) noexcept {
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

}  // namespace

Successor::Successor(const std::vector<std::string>& argv, std::vector<std::string> environment,
                     const Estate& estate)
    : channel_{UniqueFd{}} {
  auto [mine, its] = ipc::make_channel();
  environment.push_back(std::string{kVariable} + "=" + std::to_string(its.fd()));
  const std::vector<Line> lines = lines_of(estate);
  // Before it starts: so it has them whenever this process dies.
  const auto rest = send(mine, lines, Deadline::now());
  process_ = proc::spawn_detached(
      argv,
      {.name = "successor", .keep_only = {{its.fd()}}, .environment = std::move(environment)});
  channel_ = std::move(mine);
  try {
    pidfd_ = open_pidfd(process_.pid);
    if (!send(channel_, rest, Deadline::in(kPatience)).empty())
      throw Error{"upgrade", argv.front(), "does not take what it inherits"};
  } catch (...) {
    signal(SIGKILL);
    throw;
  }
}

Successor::Outcome Successor::step() {
  std::vector<std::byte> message;
  const Channel::Received received = channel_.try_receive(message);
  if (received.outcome == Channel::Outcome::empty) return Outcome::pending;
  const std::string_view line = text_of(message);
  if (line == kRelieved) return Outcome::relieved;
  problem_ = line.starts_with(kDeclined) ? line.substr(kDeclined.size())
                                         : "the new program ended before it served";
  return Outcome::failed;
}

void Successor::signal(int signal_number) const {
  if (pidfd_.valid() && !process_.is_dead()) send_signal(pidfd_.fd(), signal_number);
}

std::optional<Predecessor> Predecessor::of_this_process() {
  const std::string name{kVariable};
  const char* const value = ::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  const std::string text{value};
  ::unsetenv(name.c_str());
  int fd = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), fd);
  if (error != std::errc{} || end != text.data() + text.size() || !is_channel(fd))
    throw Error{name, text, "is no channel of this process"};
  if (::fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) throw_errno("fcntl(F_SETFD)", text);
  return Predecessor{Channel{UniqueFd{fd}}};
}

Inheritance Predecessor::take() {
  Inheritance all;
  std::vector<std::byte> message;
  for (;;) {
    Channel::Received received = channel_.receive_until(Deadline::in(kPatience), message);
    if (received.outcome != Channel::Outcome::message || received.descriptors_lost)
      throw Error{"upgrade", "the old server", "did not pass on all that it has"};
    const std::string_view line = text_of(message);
    if (line == kEnd) return all;
    take_line(all, line, received);
  }
}

bool Predecessor::relieve() {
  return channel_.try_send(bytes_of(kRelieved)) == Channel::SendResult::sent;
}

void Predecessor::decline(std::string_view problem) {
  channel_.try_send(bytes_of(std::string{kDeclined}.append(problem)));
}

}  // namespace procpool::models
