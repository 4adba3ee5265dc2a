#include "servers/ftp/sessions_table.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <string_view>

#include "ipc/base/deadline.hpp"
#include "ipc/base/io.hpp"
#include "proc/pid_file.hpp"
#include "proc/signal_source.hpp"
#include "servers/program/control.hpp"

namespace procpool::ftp {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kLongestName = 200;  // of NAME_MAX, shm_open(3)
constexpr std::size_t kUsualWidth = 100;   // without a terminal

std::string plain(std::string_view text) {
  std::string out{text};
  std::ranges::replace_if(out, [](unsigned char c) { return c < ' ' || c == 0x7f; }, '?');
  return out;
}

std::string age_text(std::chrono::seconds age) {
  const auto hours = std::chrono::duration_cast<std::chrono::hours>(age);
  std::ostringstream out;
  out << hours.count() << std::setfill('0') << ':' << std::setw(2) << age.count() / 60 % 60 << ':'
      << std::setw(2) << age.count() % 60;
  return std::move(out).str();
}

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::array kUnits{"", "K", "M", "G", "T", "P"};
  auto number = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; number >= 1000 && unit + 1 < kUnits.size(); ++unit) number /= 1024;
  std::ostringstream out;
  out << std::fixed << std::setprecision(unit == 0 || number >= 100 ? 0 : 1) << number
      << kUnits.at(unit);
  return std::move(out).str();
}

std::string progress_of(const models::SessionView& session) {
  if (session.file.empty()) return {};
  std::string text = bytes_text(session.done);
  if (session.size != 0) {
    text += "/" + bytes_text(session.size);
    const std::uint64_t percent = std::min(session.done, session.size) * 100 / session.size;
    text += " " + std::to_string(percent) + "%";
  }
  return text;
}

void append_line(std::string& table, std::string line, std::size_t width) {
  if (line.size() > width) line.resize(width);
  line.erase(line.find_last_not_of(' ') + 1);
  table.append(line).append("\n");
}

std::string columns(const std::array<std::string, 7>& texts) {
  constexpr std::array kWidths{7, 15, 10, 8, 16, 9, 0};
  std::ostringstream out;
  for (std::size_t i = 0; i < texts.size(); ++i)
    out << std::left << std::setw(kWidths.at(i)) << texts.at(i) << ' ';
  return std::move(out).str();
}

std::size_t terminal_width() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0 ? size.ws_col
                                                                            : kUsualWidth;
}

}  // namespace

ipc::Shared<models::SessionBoard> open_board(const std::string& pid_file) {
  std::string name = std::filesystem::weakly_canonical(pid_file);
  std::ranges::replace(name, '/', '.');
  if (name.size() > kLongestName) name.erase(0, name.size() - kLongestName);
  return ipc::Shared<models::SessionBoard>::open("/procpool-ftpd" + name);
}

std::string sessions_table(const std::vector<models::SessionView>& sessions, std::size_t width) {
  std::string table;
  append_line(table, columns({"PID", "FROM", "USER", "AGE", "DONE", "RATE", "DOES"}), width);
  for (const models::SessionView& session : sessions) {
    const bool moves = !session.file.empty();
    append_line(table,
                columns({std::to_string(session.pid), plain(session.client), plain(session.user),
                         age_text(session.age), progress_of(session),
                         moves ? bytes_text(session.rate) + "/s" : "", plain(session.doing)}),
                width);
  }
  return table;
}

int show_sessions(const std::string& pid_file, bool watch) {
  if (!proc::read_pid_file(pid_file)) {
    std::cerr << "nothing is running: no process holds " << pid_file << std::endl;
    return program::kExitNotRunning;
  }
  const auto board = open_board(pid_file);
  const bool in_place = watch && ::isatty(STDOUT_FILENO) != 0;
  const proc::SignalSource signals{{SIGINT, SIGTERM}};
  do {
    const auto sessions = models::sessions_of(*board);
    if (in_place) std::cout << "\x1b[H\x1b[J";
    std::cout << sessions_table(sessions, terminal_width()) << sessions.size() << " of them, "
              << board->served << " so far, " << board->refused << " refused" << std::endl;
  } while (watch && proc::read_pid_file(pid_file) &&
           !wait_ready(signals.fd(), POLLIN, Deadline::in(1s)));
  return 0;
}

}  // namespace procpool::ftp
