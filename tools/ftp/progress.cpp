#include "tools/ftp/progress.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "ipc/base/io.hpp"
#include "tools/ftp/names.hpp"
#include "tools/table.hpp"
#include "tools/text.hpp"

namespace procpool::ftp_client {
namespace {

using demo::text;
using std::chrono::steady_clock;

constexpr std::size_t kUsualWidth = 80;
constexpr std::string_view kClearLine = "\r\x1b[K";

std::size_t terminal_width() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20) return kUsualWidth;
  return size.ws_col;
}

void write_out(std::string_view words) {
  write_full(STDERR_FILENO, words, "standard error");
}

// The last columns of a UTF-8 text: the end of a path says more than its beginning.
std::string shortened(std::string_view utf8, std::size_t width) {
  if (demo::width_of(utf8) <= width) return std::string{utf8};
  while (demo::width_of(utf8) > width - 1) utf8.remove_prefix(1);
  while (!utf8.empty() && (static_cast<unsigned char>(utf8.front()) & 0xc0U) == 0x80)
    utf8.remove_prefix(1);
  return "~" + std::string{utf8};
}

std::string clock_text(double seconds) {
  constexpr double kLongest = 100.0 * 3600;
  const auto whole = static_cast<std::uint64_t>(std::clamp(seconds, 0.0, kLongest));
  const std::string minutes = std::to_string(whole / 60 % 60);
  const std::string rest = std::to_string(whole % 60);
  std::string out = whole >= 3600 ? std::to_string(whole / 3600) + ":" : std::string{};
  if (whole >= 3600 && minutes.size() == 1) out.push_back('0');
  out.append(minutes).append(rest.size() == 1 ? ":0" : ":").append(rest);
  return out;
}

std::string bar(std::uint64_t done, std::uint64_t total, std::size_t width) {
  const auto filled =
      static_cast<std::size_t>(static_cast<double>(std::min(done, total)) /
                               static_cast<double>(total) * static_cast<double>(width));
  std::string out = "[" + std::string(filled, '#');
  if (filled < width) out.append(">").append(width - filled - 1, ' ');
  return out + "]";
}

}  // namespace

void ProgressSlot::begin(std::string_view what, std::uint64_t bytes, std::uint64_t there) noexcept {
  name.set(what);
  total = bytes;
  offset = there;
  done = there;
  since = steady_clock::now().time_since_epoch().count();
  busy = true;
}

std::string bytes_text(std::uint64_t bytes) {
  const std::string number =
      bytes < 1000 ? std::to_string(bytes) + " " : demo::with_prefix(static_cast<double>(bytes));
  return number + "B";
}

std::string progress_line(std::string_view name, std::uint64_t done, std::uint64_t total,
                          std::uint64_t offset, double seconds, std::size_t width) {
  constexpr std::size_t kFigures = 38;
  const double rate =
      seconds > 0 && done > offset ? static_cast<double>(done - offset) / seconds : 0;
  const bool known = total > 0;
  const bool arriving = known && rate > 0 && done < total;
  const std::string left =
      arriving ? clock_text(static_cast<double>(total - done) / rate) : std::string{};
  const std::string share =
      known ? std::to_string(std::min<std::uint64_t>(100, done * 100 / total)) + "%" : "";
  const std::string figures =
      demo::padded(share, 6, demo::Align::right) +
      demo::padded(bytes_text(done), 11, demo::Align::right) +
      demo::padded(rate > 0 ? bytes_text(static_cast<std::uint64_t>(rate)) + "/s" : "", 12,
                   demo::Align::right) +
      demo::padded(left, 9, demo::Align::right);
  const std::size_t room = width > kFigures + 8 ? width - kFigures - 1 : 8;
  const std::size_t bar_width = known && room >= 24 ? room / 2 - 3 : 0;
  const std::size_t name_width = bar_width > 0 ? room - bar_width - 3 : room;
  return demo::padded(shortened(printable(name), name_width), name_width, demo::Align::left) +
         (bar_width > 0 ? " " + bar(done, total, bar_width) : "") + figures;
}

ProgressDisplay::ProgressDisplay(Talk talk)
    : quiet_{talk == Talk::quiet}, terminal_{!quiet_ && ::isatty(STDERR_FILENO) == 1} {}

void ProgressDisplay::draw(const ProgressBoard& board) {
  const auto now = steady_clock::now();
  if (!terminal_ || now - last_ < kInterval) return;
  last_ = now;
  const std::size_t width = terminal_width();
  std::string lines;
  std::size_t count = 0;
  const auto add = [&](const std::string& line) {
    lines.append(kClearLine).append(line).append("\n");
    ++count;
  };
  for (const ProgressSlot& slot : board.slots) {
    if (!slot.busy) continue;
    const std::chrono::nanoseconds elapsed{now.time_since_epoch().count() - slot.since};
    add(progress_line(slot.name.get(), slot.done, slot.total, slot.offset,
                      std::chrono::duration<double>(elapsed).count(), width));
  }
  if (board.files > 0) add(text(board.files_done.load(), " of ", board.files.load(), " files"));
  const std::size_t before = drawn_;
  clear();
  drawn_ = count;
  if (before != 0 || count != 0) write_out(lines);
}

void ProgressDisplay::clear() {
  if (drawn_ == 0) return;
  write_out(text("\x1b[", drawn_, "A\r\x1b[J"));
  drawn_ = 0;
}

void ProgressDisplay::say(std::string_view line) {
  if (quiet_) return;
  clear();
  write_out(printable(line) + "\n");
}

}  // namespace procpool::ftp_client
