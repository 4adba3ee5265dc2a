// ipc::Queue and ipc::Broadcast as ways between two processes, to be measured.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "ipc/broadcast.hpp"
#include "ipc/queue.hpp"
#include "tools/ipc_demo/links.hpp"

namespace procpool::demo {

template <std::size_t size>
using Bytes = std::array<std::byte, size>;

// The bytes of a buffer as one message, which is not copied for that.
template <std::size_t size>
std::span<const Bytes<size>> as_message(std::span<const std::byte> buffer) {
  return {reinterpret_cast<const Bytes<size>*>(buffer.data()), 1};
}
template <std::size_t size>
std::span<Bytes<size>> as_message(std::span<std::byte> buffer) {
  return {reinterpret_cast<Bytes<size>*>(buffer.data()), 1};
}

template <std::size_t size>
class QueueLink {
 public:
  explicit QueueLink(std::size_t) {}
  void send(std::span<const std::byte> message) { queue_.push(as_message<size>(message).front()); }
  void receive(std::span<std::byte> buffer) { queue_.pop_batch(as_message<size>(buffer)); }

 private:
  ipc::Queue<Bytes<size>> queue_{capacity_for(size)};
};

// Of 64 bytes; send() sends a batch.
class BatchLink {
 public:
  static constexpr std::size_t kMessages = 64;

  explicit BatchLink(std::size_t) {}
  void send(std::span<const std::byte> last) {
    std::ranges::copy(last, batch_.back().begin());
    queue_.push_batch(batch_);
  }
  void receive(std::span<std::byte> last) {
    for (std::size_t n = 0; n < kMessages;) n += queue_.pop_batch(std::span{batch_}.subspan(n));
    std::ranges::copy(batch_.back(), last.begin());
  }

 private:
  ipc::Queue<Bytes<64>> queue_{1024};
  std::vector<Bytes<64>> batch_ = std::vector<Bytes<64>>(kMessages);
};

// Written and read where they lie: of each message only the first byte is touched.
template <std::size_t size>
class LoanLink {
 public:
  explicit LoanLink(std::size_t) {}
  void send(std::span<const std::byte> message) {
    auto loan = queue_.loan();
    (*loan)->front() = message.front();
    loan->commit();
  }
  void receive(std::span<std::byte> buffer) {
    const auto borrowed = queue_.borrow();
    buffer.front() = (*borrowed)->front();
  }

 private:
  ipc::Queue<Bytes<size>> queue_{capacity_for(size)};
};

// The reader may miss messages: what it sees counts.
template <std::size_t size>
class BroadcastLink {
 public:
  explicit BroadcastLink(std::size_t) {}
  void send(std::span<const std::byte> message) {
    if (!writer_) writer_.emplace(prices_.make_writer());
    writer_->publish(as_message<size>(message).front());
  }
  void receive(std::span<std::byte> buffer) { std::ranges::copy(*reader_.read(), buffer.begin()); }

 private:
  ipc::Broadcast<Bytes<size>> prices_{capacity_for(size)};
  typename ipc::Broadcast<Bytes<size>>::Reader reader_ = prices_.make_reader();
  std::optional<typename ipc::Broadcast<Bytes<size>>::Writer> writer_;
};

}  // namespace procpool::demo
