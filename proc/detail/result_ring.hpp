// What a worker sends back: frames in shared memory, from one process to one other.
//
//   if (auto place = out.reserve(size)) { fill(*place); out.publish(FrameKind::value, task); }
//   while (auto frame = in.next()) use(*frame);  in.release();
//
// There is nothing in it that a dead writer could leave taken: what it published is whole, and what
// it did not publish is not there.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "proc/detail/wire.hpp"

namespace procpool::proc::detail {

// The places up to which has been written and read, in bytes since the beginning. Zero is its first
// state.
struct RingPositions {
  alignas(64) std::atomic<std::uint64_t> written{0};
  alignas(64) std::atomic<std::uint64_t> read{0};
};

enum class FrameKind : std::uint32_t {
  value,      // the result of an item
  exception,  // the same
  piece,      // the begin of a result that is too large for one frame
  filler,     // nothing: the rest of the ring's end
};

struct FrameHeader {
  std::uint32_t size;  // of what follows
  FrameKind kind;
  std::uint32_t task;
  std::uint32_t unused;
};
inline constexpr std::size_t kFrameAlignment = sizeof(FrameHeader);

constexpr std::uint64_t frame_size(std::uint64_t content) noexcept {
  return sizeof(FrameHeader) + (content + kFrameAlignment - 1) / kFrameAlignment * kFrameAlignment;
}

// The writing side. It goes back to the ring's begin when everything has been read, so a ring
// needs no more memory than was ever used of it at once.
class RingWriter {
 public:
  RingWriter(RingPositions& positions, std::span<std::byte> memory) noexcept
      : positions_{positions}, memory_{memory} {}

  // The most that one frame may hold.
  std::size_t most() const noexcept { return memory_.size() / 4; }

  // Room for a frame's content; nullptr: there is none until the reader has gone on.
  std::byte* reserve(std::size_t size) noexcept {
    const std::uint64_t needed = frame_size(size);
    const std::uint64_t offset = written_ % memory_.size();
    std::uint64_t filler = offset + needed > memory_.size() ? memory_.size() - offset : 0;
    // Only what fits before the offset: the rest of the ring would not have room for both.
    if (offset >= std::max(kWorthGoingBack, needed) && read_up_to() == written_) {
      filler = memory_.size() - offset;
    }
    if (!has_room(filler + needed)) return nullptr;
    if (filler != 0) {
      put_header(filler - sizeof(FrameHeader), FrameKind::filler, 0);
      written_ += filler;
    }
    size_ = size;
    return memory_.data() + written_ % memory_.size() + sizeof(FrameHeader);
  }

  // What was reserved can be read. Orders as a full fence.
  void publish(FrameKind kind, std::uint32_t task) noexcept {
    put_header(size_, kind, task);
    written_ += frame_size(size_);
    positions_.written.exchange(written_);
  }

 private:
  static constexpr std::uint64_t kWorthGoingBack = 65536;

  std::uint64_t read_up_to() noexcept {
    return read_ = positions_.read.load(std::memory_order_acquire);
  }
  bool has_room(std::uint64_t size) noexcept {
    return written_ + size - read_ <= memory_.size() ||
           written_ + size - read_up_to() <= memory_.size();
  }
  void put_header(std::uint64_t size, FrameKind kind, std::uint32_t task) noexcept {
    const FrameHeader header{static_cast<std::uint32_t>(size), kind, task, 0};
    std::memcpy(memory_.data() + written_ % memory_.size(), &header, sizeof header);
  }

  RingPositions& positions_;
  std::span<std::byte> memory_;
  std::uint64_t written_ = 0;
  std::uint64_t read_ = 0;
  std::size_t size_ = 0;
};

struct Frame {
  FrameKind kind;
  std::uint32_t task;
  View content;  // lies in the ring, until release()
};

// The reading side.
class RingReader {
 public:
  RingReader(RingPositions& positions, std::span<const std::byte> memory) noexcept
      : positions_{&positions}, memory_{memory} {}

  bool empty() const noexcept {
    return positions_->written.load(std::memory_order_acquire) == read_;
  }

  // The next frame. Throws Error for what no RingWriter writes.
  std::optional<Frame> next() {
    for (;;) {
      if (read_ == written_) {
        written_ = positions_->written.load(std::memory_order_acquire);
        if (read_ == written_) return std::nullopt;
      }
      const std::uint64_t offset = read_ % memory_.size();
      FrameHeader header;
      std::memcpy(&header, memory_.data() + offset, sizeof header);
      const std::uint64_t whole = frame_size(header.size);
      if (whole > written_ - read_ || offset + whole > memory_.size()) {
        throw Error{"read", "result ring", "a frame is longer than what was written"};
      }
      read_ += whole;
      if (header.kind == FrameKind::filler) continue;
      return Frame{header.kind, header.task,
                   View{memory_.data() + offset + sizeof header, header.size}};
    }
  }

  // The memory of all frames so far may be written again.
  void release() noexcept {
    // Only a store when something is new: the writer looks at the same line.
    if (positions_->read.load(std::memory_order_relaxed) != read_) positions_->read.exchange(read_);
  }

 private:
  RingPositions* positions_;
  std::span<const std::byte> memory_;
  std::uint64_t read_ = 0;
  std::uint64_t written_ = 0;
};

}  // namespace procpool::proc::detail
