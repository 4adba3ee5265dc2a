#include "ipc/queue.hpp"

#include <fcntl.h>

#include "ipc/base/error.hpp"

namespace procpool::ipc {
namespace {

constexpr std::size_t kLengthSize = sizeof(std::uint64_t);

SharedMemory::Layout layout_of(std::uint64_t type, const detail::RingGeometry& geometry) {
  geometry.check();
  return {.hash = type, .size = geometry.size()};
}

}  // namespace

QueueBase::QueueBase(const Shape& shape)
    : memory_{SharedMemory::anonymous(layout_of(shape.type, shape.geometry),
                                      detail::Ring::construct)},
      ring_{std::make_unique<detail::Ring>(memory_.data(), shape.geometry)} {}

QueueBase::QueueBase(std::string_view name, const Shape& shape)
    : memory_{SharedMemory::open(name, layout_of(shape.type, shape.geometry),
                                 detail::Ring::construct)},
      bell_{name},
      ring_{std::make_unique<detail::Ring>(memory_.data(), shape.geometry)} {}

QueueBase::QueueBase(UniqueFd segment, UniqueFd bell, const Shape& shape)
    : memory_{SharedMemory::attach(std::move(segment), layout_of(shape.type, shape.geometry))},
      bell_{std::move(bell)},
      ring_{std::make_unique<detail::Ring>(memory_.data(), shape.geometry)} {}

QueueBase::~QueueBase() {
  leave();
}

QueueBase& QueueBase::operator=(QueueBase&& other) noexcept {
  leave();
  memory_ = std::move(other.memory_);
  bell_ = std::move(other.bell_);
  ring_ = std::move(other.ring_);
  return *this;
}

// The last one takes the bell's name away with the segment's.
void QueueBase::leave() noexcept {
  if (!ring_) return;
  ring_.reset();  // before the memory in which it is a member
  {
    const SharedMemory closed = std::move(memory_);
  }
  bell_.remove_name_without_segment();
}

void QueueBase::close() {
  ring_->close();
  ring_bell();
}

void QueueBase::ring_bell_now() {
  if (ring_->state().bell.exchange(0) != 0) bell_.ring();
}

int QueueBase::fd() {
  const int fd = bell_.fd();
  ring_->state().bell.exchange(1);
  return fd;
}

// Quiet first, then armed, then a second look: what comes after the look rings.
QueueBase::Claim QueueBase::try_claim_messages(std::size_t most) {
  Claim claim = ring_->try_claim_messages(most);
  if (claim.outcome != Outcome::nothing || !bell_.is_polled()) return claim;
  bell_.silence();
  ring_->state().bell.exchange(1);
  return ring_->try_claim_messages(most);
}

bool QueueBase::ready() {
  if (ring_->has_messages()) return true;
  if (!bell_.is_polled()) return false;
  bell_.silence();
  ring_->state().bell.exchange(1);
  return ring_->has_messages();
}

void QueueBase::task_done() {
  if (!ring_->task_done()) throw Error{"end a task", "queue", "none is open in this process"};
}

bool QueueBase::join_until(Deadline deadline) {
  return ring_->wait_finished(deadline);
}

std::size_t QueueBase::slots_for(std::size_t bytes) const {
  const detail::RingGeometry& geometry = ring_->geometry();
  const std::size_t slots = (kLengthSize + bytes - 1) / geometry.cell_size + 1;
  if (slots > geometry.capacity || slots > detail::Slot::kMostCount) {
    throw_errno("push", std::to_string(bytes) + " bytes", EMSGSIZE);
  }
  return slots;
}

void QueueBase::write(const Range& range, std::span<const std::byte> bytes) {
  const std::uint64_t length = bytes.size();
  std::byte* first = ring_->cell(range.position);
  const std::size_t cells = std::min(range.slots, ring_->contiguous(range.position));
  const std::size_t room = cells * ring_->geometry().cell_size - kLengthSize;
  const auto [head, tail] = std::pair{bytes.first(std::min(room, bytes.size())),
                                      bytes.subspan(std::min(room, bytes.size()))};
  std::memcpy(first, &length, kLengthSize);
  std::ranges::copy(head, first + kLengthSize);
  std::ranges::copy(tail, ring_->cell(range.position + cells));
}

std::span<const std::byte> QueueBase::read(const Range& range,
                                           std::vector<std::byte>& scratch) const {
  const std::size_t cell_size = ring_->geometry().cell_size;
  const std::byte* first = ring_->cell(range.position);
  std::uint64_t length = 0;
  std::memcpy(&length, first, kLengthSize);
  if (length > range.slots * cell_size - kLengthSize) {
    throw Error{"pop", "message", "it is longer than its room"};
  }
  const std::size_t cells = std::min(range.slots, ring_->contiguous(range.position));
  const std::size_t room = cells * cell_size - kLengthSize;
  if (length <= room) return {first + kLengthSize, length};
  scratch.assign(first + kLengthSize, first + kLengthSize + room);
  const std::byte* rest = ring_->cell(range.position + cells);
  scratch.insert(scratch.end(), rest, rest + (length - room));
  return scratch;
}

}  // namespace procpool::ipc
