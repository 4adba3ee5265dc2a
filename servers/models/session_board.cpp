#include "servers/models/session_board.hpp"

#include <algorithm>

namespace procpool::models {
namespace {

using Clock = std::chrono::steady_clock;

std::uint64_t rate_of(std::uint64_t done, std::int64_t begun) {
  const auto spent = Clock::now().time_since_epoch() - std::chrono::nanoseconds{begun};
  const double seconds = std::max(std::chrono::duration<double>{spent}.count(), 0.001);
  return static_cast<std::uint64_t>(static_cast<double>(done) / seconds);
}

SessionView view_of(const SessionSlot& slot, std::size_t number, std::time_t now) {
  SessionView view{.slot = number,
                   .pid = slot.pid,
                   .age = std::chrono::seconds{std::max<std::int64_t>(now - slot.since, 0)},
                   .client = slot.client.get(),
                   .user = slot.user.get(),
                   .doing = slot.doing.get(),
                   .file = {},
                   .done = 0,
                   .size = 0,
                   .rate = 0};
  if (const std::int64_t begun = slot.begun; begun != 0) {
    view.file = slot.file.get();
    view.done = slot.done;
    view.size = slot.size;
    view.rate = rate_of(view.done, begun);
  }
  return view;
}

}  // namespace

bool SessionSlot::claim(pid_t for_master) noexcept {
  pid_t free = 0;
  if (!pid.compare_exchange_strong(free, for_master)) return false;
  master = for_master;
  return true;
}

void SessionSlot::show(const ProcessId& session) noexcept {
  start_time = session.start_time;
  pid = session.pid;
}

void SessionSlot::begin_transfer(std::string_view file_name, std::uint64_t bytes) noexcept {
  file.set(file_name);
  done = 0;
  size = bytes;
  begun = std::chrono::nanoseconds{Clock::now().time_since_epoch()}.count();
}

void SessionSlot::end_transfer() noexcept {
  begun = 0;
}

void SessionSlot::reset() noexcept {
  user.set("");
  doing.set("");
  file.set("");
  done = 0;
  size = 0;
  begun = 0;
}

std::vector<SessionView> sessions_of(const SessionBoard& board) {
  std::vector<SessionView> sessions;
  const std::time_t now = std::time(nullptr);
  for (std::size_t number = 0; number < SessionBoard::kSlots; ++number) {
    const SessionSlot& slot = board.slots[number];
    if (slot.has_session() && !slot.process().is_dead())
      sessions.push_back(view_of(slot, number, now));
  }
  return sessions;
}

}  // namespace procpool::models
