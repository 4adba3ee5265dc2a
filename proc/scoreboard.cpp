#include "proc/scoreboard.hpp"

namespace procpool::proc {
namespace {

// Only the slot's owner adds, so that a load and a store do, without a locked instruction.
template <typename Number>
void add(std::atomic<Number>& counter, Number amount) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

WorkerView view_of(std::size_t index, const WorkerSlot& slot) {
  return {.slot = index,
          .state = slot.state,
          .pid = slot.pid,
          .generation = slot.generation,
          .started = slot.started,
          .connections = slot.connections,
          .accepted = slot.accepted,
          .requests = slot.requests,
          .bytes = slot.bytes,
          .busy = slot.busy,
          .doing = slot.doing.get(),
          .client = slot.client.get()};
}

}  // namespace

std::string_view name_of(WorkerState state) noexcept {
  switch (state) {
    case WorkerState::none:
      return "none";
    case WorkerState::starting:
      return "starting";
    case WorkerState::ready:
      return "ready";
    case WorkerState::draining:
      return "draining";
  }
  return "unknown";
}

void WorkerSlot::reset_counters() noexcept {
  connections = accepted = requests = bytes = worked = 0;
  busy = false;
  wear = Wear::none;
  doing.set({});
  client.set({});
}

void WorkerSlot::begin(std::string_view what, std::string_view for_whom) noexcept {
  busy.store(true, std::memory_order_relaxed);
  doing.set(what);
  client.set(for_whom);
}

void WorkerSlot::count_request(std::uint64_t bytes_sent) noexcept {
  add(requests, std::uint64_t{1});
  add(bytes, bytes_sent);
}

void WorkerSlot::count_work(std::chrono::nanoseconds time) noexcept {
  add(worked, static_cast<std::uint64_t>(time.count()));
}

ScoreboardView view_of(const Scoreboard& board) {
  const MasterRow& master = board.master;
  ScoreboardView view{.master = master.pid,
                      .started = master.started,
                      .generation = master.generation,
                      .restarts = master.restarts,
                      .reloads = master.reloads,
                      .last_reload = master.last_reload,
                      .reload_result = master.reload_result.get(),
                      .last_death = master.last_death.get(),
                      .requests = master.finished_requests,
                      .bytes = master.finished_bytes,
                      .workers = {}};
  for (std::size_t i = 0; i < board.workers.size(); ++i) {
    if (board.workers[i].state == WorkerState::none) continue;
    view.workers.push_back(view_of(i, board.workers[i]));
    view.requests += view.workers.back().requests;
    view.bytes += view.workers.back().bytes;
  }
  return view;
}

}  // namespace procpool::proc
