// What a master shows of itself and its workers, in shared memory: readable at any time, from any
// of them.
//
//   ipc::Shared<Scoreboard> board;                    // by the master; its workers inherit it
//   board->workers[slot].count_request(bytes, time);  // by a worker, in its own slot
//   const ScoreboardView view = view_of(*board);      // by anybody
//   for (const WorkerView& worker : view.workers) print(worker.pid, worker.doing);
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "proc/latency_histogram.hpp"
#include "proc/shared_text.hpp"

namespace procpool::proc {

enum class WorkerState : std::uint32_t { none, starting, ready, draining };

std::string_view name_of(WorkerState state) noexcept;

// Why a worker asks for a successor.
enum class Wear : std::uint32_t { none, requests, memory };

// One worker. The master writes the first group, the worker the second; everybody reads. There is
// no lock, and no value that another one must agree with: a worker that is killed at any
// instruction leaves counters that are one behind.
struct alignas(64) WorkerSlot {
  std::atomic<WorkerState> state{WorkerState::none};
  std::atomic<pid_t> pid{0};
  std::atomic<int> generation{0};
  std::atomic<std::int64_t> started{0};  // seconds since 1970

  alignas(64) std::atomic<std::uint64_t> connections{0};  // open now
  std::atomic<std::uint64_t> accepted{0};                 // since it started; handed-over ones too
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> bytes{0};
  std::atomic<std::uint64_t> worked{
      0};                         // nanoseconds in which it did not wait; if that is asked for
  std::atomic<bool> busy{false};  // false: it waits for work
  std::atomic<Wear> wear{Wear::none};
  SharedText<160> doing;  // the request it began last
  SharedText<48> client;  // and for whom
  LatencyHistogram latency;

  void reset_counters() noexcept;
  void begin(std::string_view what, std::string_view for_whom) noexcept;
  void count_request(std::uint64_t bytes_sent, std::chrono::nanoseconds time) noexcept;
  void count_work(std::chrono::nanoseconds time) noexcept;
};

// The last workers that ended unasked, and why. The master writes.
class LastDeaths {
 public:
  static constexpr std::size_t kKept = 8;

  struct Death {
    std::time_t time;
    pid_t pid;
    std::string cause;  // as "killed by SIGSEGV"
  };

  void add(const Death& death) noexcept;
  std::vector<Death> all() const;  // the newest first

 private:
  struct Entry {
    std::atomic<std::int64_t> time{0};
    std::atomic<pid_t> pid{0};
    SharedText<120> cause;
  };
  std::atomic<std::uint64_t> count_{0};
  std::array<Entry, kKept> entries_;
};

// The master's own row. Workers only read it.
struct alignas(64) MasterRow {
  std::atomic<pid_t> pid{0};
  std::atomic<std::int64_t> started{0};
  std::atomic<int> generation{0};
  std::atomic<std::uint64_t> restarts{0};           // of workers that ended unasked
  std::atomic<std::uint64_t> reloads{0};            // that succeeded
  std::atomic<std::int64_t> last_reload{0};         // seconds since 1970; 0: never
  std::atomic<std::uint64_t> finished_requests{0};  // of workers that are gone
  std::atomic<std::uint64_t> finished_bytes{0};
  SharedText<248> reload_result;  // of the last reload: "ok", or why not
  LatencyHistogram finished_latency;
  LastDeaths deaths;
};

struct Scoreboard {
  static constexpr std::size_t kSlots = 512;  // workers of all generations that live at once
  MasterRow master;
  std::array<WorkerSlot, kSlots> workers;
};

// A copy to look at: consistent within a row, not between rows.
struct WorkerView {
  std::size_t slot;
  WorkerState state;
  pid_t pid;
  int generation;
  std::time_t started;
  std::uint64_t connections;
  std::uint64_t accepted;
  std::uint64_t requests;
  std::uint64_t bytes;
  bool busy;
  std::string doing;
  std::string client;
  LatencyCounts latency;
};

struct ScoreboardView {
  pid_t master;
  std::time_t started;
  int generation;
  std::uint64_t restarts;
  std::uint64_t reloads;
  std::time_t last_reload;
  std::string reload_result;
  std::vector<LastDeaths::Death> deaths;
  std::uint64_t requests;  // since the master started
  std::uint64_t bytes;
  LatencyCounts latency;
  std::vector<WorkerView> workers;  // those that live
};

ScoreboardView view_of(const Scoreboard& board);

}  // namespace procpool::proc
