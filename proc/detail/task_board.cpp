#include "proc/detail/task_board.hpp"

#include <new>

namespace procpool::proc::detail {
namespace {

using Memory = ipc::SharedMemory;

// The word of a record: nobody's but the master's, anybody's, or a worker's.
constexpr std::uint32_t kMasters = 0;
constexpr std::uint32_t kUp = 1;
constexpr std::uint32_t kFirstWorkers = 2;

// An entry: the ticket above, the index below. A ticket is never zero, which is an entry's first
// state.
constexpr unsigned kIndexBits = 24;
constexpr std::uint64_t kIndexMask = (std::uint64_t{1} << kIndexBits) - 1;
constexpr std::uint64_t kTicketMask = ~std::uint64_t{0} >> kIndexBits;

// Twice the records: the entries of those that were withdrawn stay, and one that was lost with its
// worker is put up again in any case.
constexpr std::uint64_t entry_count(const TaskBoard::Size& size) noexcept {
  return std::uint64_t{size.records} * 2;
}

constexpr std::size_t rounded(std::size_t offset) noexcept {
  constexpr std::size_t kPage = 4096;
  return (offset + kPage - 1) / kPage * kPage;
}

}  // namespace

struct TaskBoard::Places {
  std::size_t areas;
  std::size_t entries;
  std::size_t records;
  std::size_t rings;
  std::size_t end;
};

TaskBoard::Places TaskBoard::places_of(const Size& size) noexcept {
  Places places{};
  places.areas = rounded(sizeof(Header));
  places.entries = rounded(places.areas + size.workers * sizeof(WorkerArea));
  places.records = rounded(places.entries + entry_count(size) * sizeof(std::uint64_t));
  places.rings = rounded(places.records + size.records * sizeof(TaskRecord));
  places.end = places.rings + size.workers * kRingSize;
  return places;
}

Memory TaskBoard::make(const Size& size) {
  return Memory::anonymous({.hash = kHash, .size = places_of(size).end}, [&](std::byte* at) {
    auto* const header = new (at) Header{};
    header->size = size;
    header->head.store(1);
    header->tail.store(1);
    for (std::uint32_t i = 0; i < size.workers; ++i) {
      new (at + places_of(size).areas + i * sizeof(WorkerArea)) WorkerArea{};
    }
  });
}

TaskBoard::TaskBoard(const Memory& memory) noexcept
    : header_{std::launder(reinterpret_cast<Header*>(memory.data()))} {
  const Places places = places_of(header_->size);
  areas_ = reinterpret_cast<WorkerArea*>(memory.data() + places.areas);
  entries_ = reinterpret_cast<std::atomic<std::uint64_t>*>(memory.data() + places.entries);
  records_ = reinterpret_cast<TaskRecord*>(memory.data() + places.records);
  rings_ = memory.data() + places.rings;
}

const TaskBoard::Size& TaskBoard::size() const noexcept {
  return header_->size;
}

WorkerArea& TaskBoard::area(std::uint32_t worker) const noexcept {
  return areas_[worker];
}

std::span<std::byte> TaskBoard::ring(std::uint32_t worker) const noexcept {
  return {rings_ + worker * kRingSize, kRingSize};
}

std::atomic<std::uint64_t>& TaskBoard::entry(std::uint64_t ticket) const noexcept {
  return entries_[ticket % entry_count(header_->size)];
}

bool TaskBoard::has_room() noexcept {
  if (waiting() < header_->size.records) return true;
  drop_taken_from_head();
  return waiting() < header_->size.records;
}

void TaskBoard::put_up(std::uint32_t index) noexcept {
  const std::uint64_t ticket = header_->tail.load(std::memory_order_relaxed);
  record(index).word.store(kUp, std::memory_order_release);
  entry(ticket).store((ticket & kTicketMask) << kIndexBits | index);
  header_->tail.store(ticket + 1);
}

void TaskBoard::drop_taken_from_head() noexcept {
  for (;;) {
    std::uint64_t head = header_->head.load();
    if (head == header_->tail.load()) return;
    const std::uint64_t index = entry(head).load() & kIndexMask;
    if (record(static_cast<std::uint32_t>(index)).word.load() == kUp) return;
    header_->head.compare_exchange_strong(head, head + 1);
  }
}

bool TaskBoard::withdraw(std::uint32_t index) noexcept {
  std::uint32_t up = kUp;
  return record(index).word.compare_exchange_strong(up, kMasters);
}

void TaskBoard::take_back(std::uint32_t index) noexcept {
  record(index).word.store(kMasters);
}

std::optional<std::uint32_t> TaskBoard::taker_of(std::uint32_t index) const noexcept {
  const std::uint32_t word = record(index).word.load();
  if (word < kFirstWorkers) return std::nullopt;
  return word - kFirstWorkers;
}

std::uint64_t TaskBoard::waiting() const noexcept {
  return header_->tail.load() - header_->head.load();
}

std::optional<std::uint32_t> TaskBoard::take(std::uint32_t worker) const noexcept {
  std::uint64_t head = header_->head.load();
  for (;;) {
    const std::uint64_t found = entry(head).load();
    if (found >> kIndexBits != (head & kTicketMask)) {  // none yet, or the head has gone on
      const std::uint64_t now = header_->head.load();
      if (now == head) return std::nullopt;
      head = now;
      continue;
    }
    const auto index = static_cast<std::uint32_t>(found & kIndexMask);
    std::uint32_t up = kUp;
    const bool taken = record(index).word.compare_exchange_strong(up, kFirstWorkers + worker);
    // Whoever dies before this leaves it to the next one, who finds the task taken.
    if (header_->head.compare_exchange_strong(head, head + 1)) ++head;
    if (taken) return index;
  }
}

}  // namespace procpool::proc::detail
