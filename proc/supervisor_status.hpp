// What a supervisor shows of its children to any process that knows the name.
//
//   supervisor.show_status("/my-service");                      // in its process
//   if (auto status = read_supervisor_status("/my-service"))    // in another one
//     for (const ShownChild& child : status->children) print(child.name, child.pid, child.state);
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ipc/shared.hpp"
#include "proc/shared_text.hpp"

namespace procpool::proc {

enum class ChildState {
  idle,  // waits until it is its turn to be started
  starting,
  running,
  stop_pending,  // waits until it is its turn to be stopped
  stopping,
  backing_off,
  ended,
};
std::string_view name_of(ChildState state) noexcept;  // "starting", ...

struct ShownChild {
  std::string name;  // its first 63 bytes
  pid_t pid = 0;     // 0: no process now
  int slot = -1;
  int generation = 0;
  ChildState state = ChildState::idle;
  int restarts = 0;
  std::time_t since = 0;  // when it came into this state
};

struct SupervisorStatus {
  static constexpr std::size_t kMostShown = 1000;

  pid_t supervisor = 0;  // its process
  int generation = 0;
  bool gave_up = false;
  std::size_t total = 0;             // of its children; they are shown as far as kMostShown goes
  std::vector<ShownChild> children;  // oldest first
};

// What the supervisor that shows itself under this name has; nullopt: there is none that
// lives. The name is as in shm_open(3). The supervisor does not notice, and nobody waits for
// anybody: if it is killed half-way through a change, what is read may be half of each. Throws
// Error: the name is in use for something else, or by another user.
std::optional<SupervisorStatus> read_supervisor_status(const std::string& name);

namespace detail {
struct StatusSegment {
  static constexpr std::size_t kHeader = 16;
  static constexpr std::size_t kRow = 96;
  std::atomic<std::uint64_t> writer{0};  // the supervisor's process, an Owner
  SharedText<kHeader + kRow * SupervisorStatus::kMostShown> text;
};
}  // namespace detail

// The supervisor's side: the only writer of its name for as long as it lives. For one thread.
class SupervisorStatusWriter {
 public:
  // Throws Error: another supervisor shows itself so; or as SharedMemory::open.
  explicit SupervisorStatusWriter(const std::string& name);
  SupervisorStatusWriter(const SupervisorStatusWriter&) = delete;
  SupervisorStatusWriter& operator=(const SupervisorStatusWriter&) = delete;
  ~SupervisorStatusWriter();

  void show(const SupervisorStatus& status);  // costs no system call; less if nothing has changed

 private:
  ipc::Shared<detail::StatusSegment> segment_;
  std::string shown_;
};

}  // namespace procpool::proc
