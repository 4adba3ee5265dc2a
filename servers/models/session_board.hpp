// What a server with a process per client shows of its sessions, in shared memory: readable at any
// time, from any process.
//
//   auto board = ipc::Shared<SessionBoard>::open("/ftpd");   // by the master; its sessions inherit
//   it board->slots[slot].doing.set("RETR a");                  // by a session, in its own slot
//   for (const SessionView& session : sessions_of(*board)) print(session.client, session.doing);
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include "ipc/base/process_id.hpp"
#include "proc/shared_text.hpp"

namespace procpool::models {

// One session. The master writes the first group (the session its own process, too, so that it is
// seen before its client is), the session the second; everybody reads. There is no lock, and no
// value that another one must agree with.
struct alignas(64) SessionSlot {
  std::atomic<pid_t> pid{0};  // 0: free; the master's: it is being made
  std::atomic<std::uint64_t> start_time{0};
  std::atomic<pid_t> master{0};
  std::atomic<std::int64_t> since{0};  // seconds since 1970
  proc::SharedText<48> client;         // its address, without the port

  alignas(64) proc::SharedText<48> user;
  proc::SharedText<64> doing;          // the command it began last
  proc::SharedText<256> file;          // of a transfer that is under way
  std::atomic<std::uint64_t> done{0};  // bytes of it
  std::atomic<std::uint64_t> size{0};  // 0: not known
  std::atomic<std::int64_t> begun{0};  // the transfer: nanoseconds of the steady clock; 0: none

  ProcessId process() const noexcept { return {.pid = pid, .start_time = start_time}; }
  bool has_session() const noexcept { return pid != 0 && pid != master; }
  bool claim(pid_t for_master) noexcept;  // false: it is not free
  void show(const ProcessId& session) noexcept;
  void begin_transfer(std::string_view file_name, std::uint64_t bytes) noexcept;
  void end_transfer() noexcept;
  void reset() noexcept;  // of all but pid and start_time
};

// For ipc::Shared. One for all masters of a server that succeed each other.
struct SessionBoard {
  static constexpr std::size_t kSlots = 4096;
  std::array<SessionSlot, kSlots> slots;
  std::atomic<std::int64_t> started{0};  // the first master: seconds since 1970
  std::atomic<std::uint64_t> served{0};  // sessions so far
  std::atomic<std::uint64_t> refused{0};
};

struct SessionView {
  std::size_t slot;
  pid_t pid;
  std::chrono::seconds age;
  std::string client;
  std::string user;
  std::string doing;
  std::string file;  // empty: no transfer
  std::uint64_t done;
  std::uint64_t size;
  std::uint64_t rate;  // bytes per second, of the transfer so far
};

// The sessions that live, by slot. A session that was killed together with its master is none.
std::vector<SessionView> sessions_of(const SessionBoard& board);

}  // namespace procpool::models
