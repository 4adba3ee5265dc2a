// How far transfers are: told by those who do them, in shared memory, and shown on a terminal.
//
//   ipc::Shared<ProgressBoard> board;
//   board->slots[0].begin("a", 1000, 0);                 // the process that transfers
//   board->slots[0].done += 100;
//   display.draw(*board);                                // the one that has the terminal
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proc/shared_text.hpp"

namespace procpool::ftp_client {

// One transfer at a time of one process. Any process may read it at any time.
struct ProgressSlot {
  std::atomic<bool> busy{false};
  std::atomic<std::uint64_t> done{0};    // bytes
  std::atomic<std::uint64_t> total{0};   // 0: nobody knows
  std::atomic<std::uint64_t> offset{0};  // what was there before
  std::atomic<std::int64_t> since{0};    // of the steady clock, ns
  proc::SharedText<200> name;

  void begin(std::string_view what, std::uint64_t bytes, std::uint64_t there) noexcept;
  void end() noexcept { busy = false; }
};

struct ProgressBoard {
  static constexpr std::size_t kMostWorkers = 16;

  std::atomic<std::uint64_t> files_done{0};
  std::atomic<std::uint64_t> files{0};  // to be done, in all; 0: one alone
  std::array<ProgressSlot, kMostWorkers> slots;
};

// One line a busy slot, and one in all where there are several files, redrawn in place. Only where
// standard error is a terminal; else it does nothing but say().
class ProgressDisplay {
 public:
  enum class Talk { quiet, normal };
  explicit ProgressDisplay(Talk talk);

  void draw(const ProgressBoard& board);  // ten times a second at most
  void clear();                           // the lines are gone, and the cursor is where they began
  void say(std::string_view line);        // above them; nothing when quiet

  static constexpr std::chrono::milliseconds kInterval{100};

 private:
  bool quiet_;
  bool terminal_;
  std::size_t drawn_ = 0;  // lines
  std::chrono::steady_clock::time_point last_{};
};

// "a.iso       [#####>      ]  45%  4.50 MB  1.20 MB/s  0:05", in so many columns.
std::string progress_line(std::string_view name, std::uint64_t done, std::uint64_t total,
                          std::uint64_t offset, double seconds, std::size_t width);

// "1.23 MB", "45 B"
std::string bytes_text(std::uint64_t bytes);

}  // namespace procpool::ftp_client
