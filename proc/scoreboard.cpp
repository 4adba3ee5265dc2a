#include "proc/scoreboard.hpp"

#include <algorithm>

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
          .client = slot.client.get(),
          .latency = slot.latency.counts()};
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
  latency.reset();
}

void WorkerSlot::begin(std::string_view what, std::string_view for_whom) noexcept {
  busy.store(true, std::memory_order_relaxed);
  doing.set(what);
  client.set(for_whom);
}

void WorkerSlot::count_request(std::uint64_t bytes_sent, std::chrono::nanoseconds time) noexcept {
  add(requests, std::uint64_t{1});
  add(bytes, bytes_sent);
  latency.observe(time);
}

void WorkerSlot::count_work(std::chrono::nanoseconds time) noexcept {
  add(worked, static_cast<std::uint64_t>(time.count()));
}

void LastDeaths::add(const Death& death) noexcept {
  const std::uint64_t before = count_.load(std::memory_order_relaxed);
  Entry& entry = entries_[before % kKept];
  entry.time = death.time;
  entry.pid = death.pid;
  entry.cause.set(death.cause);
  count_ = before + 1;
}

// One that is being replaced meanwhile may be shown half as it was.
std::vector<LastDeaths::Death> LastDeaths::all() const {
  std::vector<Death> deaths;
  const std::uint64_t count = count_;
  for (std::uint64_t age = 0; age < std::min<std::uint64_t>(count, kKept); ++age) {
    const Entry& entry = entries_[(count - 1 - age) % kKept];
    deaths.push_back({.time = entry.time, .pid = entry.pid, .cause = entry.cause.get()});
  }
  return deaths;
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
                      .deaths = master.deaths.all(),
                      .requests = master.finished_requests,
                      .bytes = master.finished_bytes,
                      .latency = master.finished_latency.counts(),
                      .workers = {}};
  for (std::size_t i = 0; i < board.workers.size(); ++i) {
    if (board.workers[i].state == WorkerState::none) continue;
    view.workers.push_back(view_of(i, board.workers[i]));
    view.requests += view.workers.back().requests;
    view.bytes += view.workers.back().bytes;
    view.latency += view.workers.back().latency;
  }
  return view;
}

}  // namespace procpool::proc
