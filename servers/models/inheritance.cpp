#include "servers/models/inheritance.hpp"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <iterator>
#include <span>
#include <sstream>
#include <system_error>
#include <utility>

#include "ipc/base/error.hpp"
#include "proc/detached.hpp"
#include "proc/execute.hpp"

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
constexpr std::string_view kMemory = "memory ";          // its name, and a descriptor
constexpr std::string_view kTotals = "totals ";
constexpr std::string_view kLatency = "latency ";    // the sum, and each bucket that is not empty
constexpr std::string_view kChildren = "children ";  // the generation, pid slot generation each; 2
constexpr std::string_view kConfiguration = "configuration ";
constexpr std::string_view kEnvironment = "environment ";  // a zero after each
constexpr std::string_view kProgram = "program ";  // its argv, a zero after each, and its file
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

Line line_of(const proc::Offspring& offspring) {
  std::ostringstream text;
  text << kChildren << offspring.generation;
  for (const auto& child : offspring.children)
    text << ' ' << child.pid << ' ' << child.slot << ' ' << child.generation;
  return {text.str(), {offspring.life_reader.fd(), offspring.life_writer.fd()}};
}

std::vector<Line> lines_of(const Estate& estate) {
  std::vector<Line> lines;
  lines.reserve(estate.sockets.size() + estate.memory.size() + 7);
  for (const Estate::Socket& socket : estate.sockets)
    lines.push_back({std::string{kSocket} + socket.asked.text(), {socket.fd}});
  if (const auto* pair = estate.handed_over)
    lines.push_back({std::string{kHandedOver}, {pair->left.fd(), pair->right.fd()}});
  if (estate.board >= 0) lines.push_back({std::string{kBoard}, {estate.board}});
  if (estate.pid_file >= 0) lines.push_back({std::string{kPidFile}, {estate.pid_file}});
  for (const auto& [name, fd] : estate.memory) lines.push_back({std::string{kMemory} + name, {fd}});
  std::ostringstream totals;
  totals << kTotals << estate.totals.started << ' ' << estate.totals.requests << ' '
         << estate.totals.bytes << ' ' << estate.totals.restarts << ' ' << estate.totals.reloads;
  lines.push_back({totals.str()});
  lines.push_back({text_of(estate.totals.latency)});
  if (estate.offspring) lines.push_back(line_of(*estate.offspring));
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

proc::Offspring offspring_of(std::string_view line, std::vector<UniqueFd>& life) {
  require(life.size() == 2, line);
  proc::Offspring all{.life_reader = std::move(life[0]), .life_writer = std::move(life[1])};
  std::istringstream numbers{std::string{line.substr(kChildren.size())}};
  numbers >> all.generation;
  require(!numbers.fail(), line);
  proc::Offspring::Child child{.name = "worker", .pid = 0, .slot = 0, .generation = 0};
  while (numbers >> child.pid) {
    require(!(numbers >> child.slot >> child.generation).fail() && child.slot >= 0, line);
    all.children.push_back(child);
  }
  require(numbers.eof(), line);
  return all;
}

void take_line(Inheritance& all, std::string_view line, std::vector<UniqueFd>& received) {
  const std::size_t descriptors = received.size();
  if (line.starts_with(kSocket)) {
    require(descriptors == 1, line);
    all.sockets.push_back({net::Address::parse(line.substr(kSocket.size())),
                           net::Listener::adopt(std::move(received[0]))});
  } else if (line == kHandedOver) {
    require(descriptors == 2, line);
    all.handed_over.emplace(Channel{std::move(received[0])}, Channel{std::move(received[1])});
  } else if (line == kBoard) {
    require(descriptors == 1, line);
    all.board = std::move(received[0]);
  } else if (line == kPidFile) {
    require(descriptors == 1, line);
    all.pid_file = std::move(received[0]);
  } else if (line.starts_with(kMemory)) {
    require(descriptors == 1, line);
    all.memory[std::string{line.substr(kMemory.size())}] = std::move(received[0]);
  } else if (line.starts_with(kTotals)) {
    std::istringstream numbers{std::string{line.substr(kTotals.size())}};
    Totals& totals = all.totals;
    numbers >> totals.started >> totals.requests >> totals.bytes >> totals.restarts >>
        totals.reloads;
    require(!numbers.fail(), line);
  } else if (line.starts_with(kLatency)) {
    all.totals.latency = latency_of(line);
  } else if (line.starts_with(kChildren)) {
    all.offspring = offspring_of(line, received);
  } else if (line.starts_with(kConfiguration)) {
    all.configuration = line.substr(kConfiguration.size());
  } else if (line.starts_with(kDeclined)) {
    all.problem = line.substr(kDeclined.size());
  }
}

bool is_channel(int fd) noexcept {
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

UniqueFd take_channel(std::string_view text, const std::string& variable) {
  int fd = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), fd);
  if (error != std::errc{} || end != text.data() + text.size() || !is_channel(fd))
    throw Error{variable, std::string{text}, "is no channel of this process"};
  if (::fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) throw_errno("fcntl(F_SETFD)", std::string{text});
  return UniqueFd{fd};
}

std::string line_of(std::string_view name, const std::vector<std::string>& words) {
  std::string line{name};
  for (const std::string& word : words) line.append(word).push_back('\0');
  return line;
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (auto end = text.find('\0'); end != text.npos; end = text.find('\0')) {
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  return words;
}

// It has this channel to itself: what it receives, the other side has sent.
[[noreturn]] void execute_with(const Channel& receives, const Channel& sends,
                               const std::vector<std::string>& argv,
                               std::vector<std::string> environment, int program = -1) {
  environment.push_back(std::string{kVariable} + "=" + std::to_string(receives.fd()) + "," +
                        std::to_string(sends.fd()));
  proc::execute(argv, environment, std::array{receives.fd(), sends.fd()}, program);
}

}  // namespace

void execute_successor(const NextProgram& next, const Estate& estate) {
  const UniqueFd itself{::open("/proc/self/exe", O_PATH | O_CLOEXEC)};
  if (!itself.valid()) throw_errno("open", "/proc/self/exe");
  std::vector<Line> lines = lines_of(estate);
  lines.push_back({std::string{kConfiguration} + next.configuration});
  lines.push_back({line_of(kEnvironment, next.environment)});
  lines.push_back({line_of(kProgram, next.argv), {itself.fd()}});
  auto [sends, receives] = ipc::make_channel();
  if (!send(sends, lines, Deadline::now()).empty())
    throw Error{"upgrade", next.argv.front(), "would inherit more than a channel holds"};
  execute_with(receives, sends, next.argv, next.environment);
}

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
  const auto comma = text.find(',');
  Channel channel{take_channel(std::string_view{text}.substr(0, comma), name)};
  if (comma == text.npos) return Predecessor{std::move(channel)};
  ::prctl(PR_SET_NAME, program_invocation_short_name);  // one that was executed by descriptor
  return Predecessor{std::move(channel),
                     Channel{take_channel(std::string_view{text}.substr(comma + 1), name)}};
}

Inheritance Predecessor::take() {
  Inheritance all;
  auto messages = receive_all();
  if (again_) keep(messages);
  for (auto& [text, descriptors] : messages) take_line(all, text, descriptors);
  return all;
}

// What is sent before the end comes from another process; all that this one has sent is there.
std::vector<Predecessor::Message> Predecessor::receive_all() {
  std::vector<Message> all;
  std::vector<std::byte> message;
  for (;;) {
    auto received =
        channel_.receive_until(again_ ? Deadline::now() : Deadline::in(kPatience), message);
    if (again_ && received.outcome == Channel::Outcome::empty) return all;
    if (received.outcome != Channel::Outcome::message || received.descriptors_lost)
      throw Error{"upgrade", "the old server", "did not pass on all that it has"};
    const std::string_view text = text_of(message);
    if (text == kEnd && !again_) return all;
    const auto begin = std::make_move_iterator(received.descriptors.begin());
    const auto count = static_cast<std::ptrdiff_t>(received.descriptor_count);
    all.push_back({std::string{text}, {begin, begin + count}});
  }
}

// For the old program, if this one declines.
void Predecessor::keep(const std::vector<Message>& messages) {
  std::vector<Line> lines;
  lines.reserve(messages.size());
  for (const auto& [text, descriptors] : messages) {
    Line& line = lines.emplace_back(Line{text});
    for (const UniqueFd& fd : descriptors) line.descriptors.push_back(fd.fd());
  }
  send(*again_, lines, Deadline::now());
}

bool Predecessor::relieve() {
  if (!again_) return channel_.try_send(bytes_of(kRelieved)) == Channel::SendResult::sent;
  again_.reset();
  channel_.close();
  return false;
}

void Predecessor::decline(std::string_view problem, std::optional<proc::Offspring> offspring) {
  const std::string declined = std::string{kDeclined}.append(problem);
  if (!again_) {
    channel_.try_send(bytes_of(declined));
    return;
  }
  const auto messages = receive_all();
  const auto find = [&](std::string_view word) {
    return std::ranges::find_if(
        messages, [&](const Message& message) { return message.text.starts_with(word); });
  };
  const auto words_after = [&](std::string_view word) {
    const auto message = find(word);
    return words_of(message == messages.end() ? "" : message->text.substr(word.size()));
  };
  const auto program = find(kProgram);
  if (program == messages.end() || find(kDeclined) != messages.end()) return;
  keep(messages);
  std::vector<Line> more{{declined}};
  if (offspring) more.push_back(line_of(*offspring));
  send(*again_, more, Deadline::now());
  execute_with(channel_, *again_, words_after(kProgram), words_after(kEnvironment),
               program->descriptors.at(0).fd());
}

}  // namespace procpool::models
