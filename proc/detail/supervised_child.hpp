// A child of a supervisor: what it is to be, the process that it has now, and what came before.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ipc/base/deadline.hpp"
#include "ipc/base/loop.hpp"
#include "ipc/base/unique_fd.hpp"
#include "ipc/shared.hpp"
#include "proc/child_spec.hpp"
#include "proc/detail/sign_of_life.hpp"
#include "proc/exit_status.hpp"
#include "proc/process.hpp"
#include "proc/supervisor_status.hpp"

namespace procpool::proc::detail {

inline constexpr int kNoSlot = -1;

enum class AfterStop : std::uint8_t {
  is_gone,
  goes_along,  // is gone too; those who start again wait for that
  starts_again,
  is_replaced,
};

struct SupervisedChild {
  // One process of it. What it watches goes before what it owns.
  struct Run {
    using Callback = Loop::Watch::Callback;
    Run(Process its_process, UniqueFd its_readiness, Loop& loop, Callback on_end,
        Callback on_report)
        : process{std::move(its_process)},
          readiness{std::move(its_readiness)},
          end{loop, process.fd(), Interest::read, std::move(on_end)},
          report{std::in_place, loop, readiness.fd(), Interest::read, std::move(on_report)} {}

    // One that says nothing.
    Run(Process its_process, Loop& loop, Callback on_end)
        : process{std::move(its_process)},
          end{loop, process.fd(), Interest::read, std::move(on_end)} {}

    // All is said. Each descriptor less makes the forks of others cheaper, which copy it.
    void lose_report() {
      report.reset();
      readiness.reset();
    }

    Process process;
    UniqueFd readiness;
    Loop::Watch end;
    std::optional<Loop::Watch> report;  // until all is said
  };

  SupervisedChild(ChildSpec its_spec, int its_generation)
      : spec{std::move(its_spec)}, generation{its_generation} {}

  ChildSpec spec;
  int generation;
  ChildState state = ChildState::idle;
  std::time_t since = std::time(nullptr);  // in this state
  Deadline due = Deadline::never();        // when something is to be done

  std::unique_ptr<Run> run{};  // while there is a process
  int slot = kNoSlot;
  Deadline::Clock::time_point started{};
  std::string reason{};  // why it is not going to be ready
  std::optional<ExitStatus> status{};

  std::optional<ipc::Shared<SignOfLife>> life{};  // of its process, if it has a watchdog
  Deadline::Clock::time_point next_look{};        // for a sign of it

  std::vector<std::chrono::milliseconds> lives{};  // see RestartPolicy
  int restarts = 0;

  Escalation escalation{};
  std::size_t next_step = 0;
  AfterStop after_stop = AfterStop::is_gone;

  pid_t pid() const noexcept { return run ? run->process.pid() : 0; }  // 0: no process

  bool is_being_stopped() const noexcept {
    return state == ChildState::stopping || state == ChildState::stop_pending;
  }
  bool is_leaving() const noexcept {
    return is_being_stopped() &&
           (after_stop == AfterStop::is_gone || after_stop == AfterStop::goes_along);
  }
  bool holds_up_restart() const noexcept {
    return state == ChildState::backing_off ||
           (is_being_stopped() && after_stop != AfterStop::is_gone);
  }

  void lose_process() noexcept {
    run.reset();
    life.reset();
    slot = kNoSlot;
  }
};

}  // namespace procpool::proc::detail
