// The ways from one process to another that are measured beside each other.
//
//   double ns = one_way<ChannelLink>(4096);
#pragma once

#include <fcntl.h>
#include <mqueue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <string>

#include <boost/interprocess/ipc/message_queue.hpp>

#include "ipc/base/error.hpp"
#include "ipc/base/futex.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/unique_fd.hpp"
#include "ipc/channel.hpp"
#include "ipc/fifo.hpp"
#include "ipc/message_queue.hpp"
#include "ipc/pipe.hpp"
#include "ipc/shared_memory.hpp"
#include "tools/text.hpp"

namespace procpool::demo {

// How many messages a queue has room for: as many for everybody.
inline std::size_t capacity_for(std::size_t message_size) {
  constexpr std::size_t kMost = 1024;
  constexpr std::size_t kBytes = std::size_t{16} << 20;
  return std::clamp<std::size_t>(kBytes / message_size, 8, kMost);
}

// A name that nobody else has; what gets it here loses it at once.
inline std::string passing_name() {
  return text("/ipc-demo-bench.", ::getpid());
}

class PipeLink {
 public:
  explicit PipeLink(std::size_t) {}
  void send(std::span<const std::byte> message) { pipe_.writer.write_full(message); }
  void receive(std::span<std::byte> buffer) { pipe_.reader.read_full(buffer); }

 private:
  ipc::Pipe pipe_ = ipc::make_pipe();
};

class FifoLink {
 public:
  explicit FifoLink(std::size_t) {
    const ipc::Fifo fifo{"/dev/shm" + passing_name()};
    // A descriptor of both ends, so that neither waits for the other one.
    const UniqueFd both{::open(fifo.path().c_str(), O_RDWR | O_CLOEXEC)};
    if (!both.valid()) throw_errno("open", fifo.path());
    reader_ = fifo.open_reader();
    writer_ = fifo.open_writer();
  }
  void send(std::span<const std::byte> message) { writer_->write_full(message); }
  void receive(std::span<std::byte> buffer) { reader_->read_full(buffer); }

 private:
  std::optional<ipc::PipeReader> reader_;
  std::optional<ipc::PipeWriter> writer_;
};

// read(2) and write(2), and nothing else.
class RawPipeLink {
 public:
  explicit RawPipeLink(std::size_t) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) < 0) throw_errno("pipe2");
    reader_.reset(ends[0]);
    writer_.reset(ends[1]);
  }
  void send(std::span<const std::byte> message) {
    while (!message.empty()) {
      const ssize_t n = ::write(writer_.fd(), message.data(), message.size());
      if (n < 0) throw_errno("write", "pipe");
      message = message.subspan(static_cast<std::size_t>(n));
    }
  }
  void receive(std::span<std::byte> buffer) {
    while (!buffer.empty()) {
      const ssize_t n = ::read(reader_.fd(), buffer.data(), buffer.size());
      if (n < 0) throw_errno("read", "pipe");
      buffer = buffer.subspan(static_cast<std::size_t>(n));
    }
  }

 private:
  UniqueFd reader_;
  UniqueFd writer_;
};

class ChannelLink {
 public:
  explicit ChannelLink(std::size_t) {}
  void send(std::span<const std::byte> message) { pair_.left.send(message); }
  void receive(std::span<std::byte> buffer) { pair_.right.receive(buffer); }

 private:
  ipc::ChannelPair pair_ = ipc::make_channel();
};

// A Unix socket, SOCK_SEQPACKET, with send(2) and recv(2).
class RawSocketLink {
 public:
  static constexpr std::size_t kMost = 65536;  // bytes: more than SO_SNDBUF is refused

  explicit RawSocketLink(std::size_t) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) < 0) {
      throw_errno("socketpair");
    }
    left_.reset(ends[0]);
    right_.reset(ends[1]);
  }
  void send(std::span<const std::byte> message) {
    if (::send(left_.fd(), message.data(), message.size(), 0) < 0) throw_errno("send");
  }
  void receive(std::span<std::byte> buffer) {
    if (::recv(right_.fd(), buffer.data(), buffer.size(), 0) < 0) throw_errno("recv");
  }

 private:
  UniqueFd left_;
  UniqueFd right_;
};

class MessageQueueLink {
 public:
  static constexpr std::size_t kMost = 8192;  // bytes: /proc/sys/fs/mqueue/msgsize_max

  explicit MessageQueueLink(std::size_t size)
      : queue_{ipc::MessageQueue::open(passing_name(), {.message_size = size})} {
    ipc::MessageQueue::unlink(passing_name());
  }
  void send(std::span<const std::byte> message) { queue_.send(message); }
  void receive(std::span<std::byte> buffer) { queue_.receive(buffer); }

 private:
  ipc::MessageQueue queue_;
};

// mq_send(3) and mq_receive(3); as many messages as an ordinary user may have in it.
class RawPosixQueueLink {
 public:
  static constexpr std::size_t kMost = MessageQueueLink::kMost;

  explicit RawPosixQueueLink(std::size_t size) {
    mq_attr attributes{};
    attributes.mq_maxmsg = 10;  // /proc/sys/fs/mqueue/msg_max
    attributes.mq_msgsize = static_cast<long>(size);
    const std::string name = passing_name();
    queue_.reset(::mq_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attributes));
    if (!queue_.valid()) throw_errno("mq_open", name);
    ::mq_unlink(name.c_str());
  }
  void send(std::span<const std::byte> message) {
    const auto* bytes = reinterpret_cast<const char*>(message.data());
    if (::mq_send(queue_.fd(), bytes, message.size(), 0) < 0) throw_errno("mq_send");
  }
  void receive(std::span<std::byte> buffer) {
    auto* bytes = reinterpret_cast<char*>(buffer.data());
    if (::mq_receive(queue_.fd(), bytes, buffer.size(), nullptr) < 0) throw_errno("mq_receive");
  }

 private:
  UniqueFd queue_;  // mqd_t is a descriptor on Linux: mq_overview(7)
};

class BoostLink {
 public:
  explicit BoostLink(std::size_t size)
      : queue_{boost::interprocess::create_only, passing_name().c_str() + 1, capacity_for(size),
               size} {
    boost::interprocess::message_queue::remove(passing_name().c_str() + 1);
  }
  void send(std::span<const std::byte> message) { queue_.send(message.data(), message.size(), 0); }
  void receive(std::span<std::byte> buffer) {
    std::size_t size = 0;
    unsigned priority = 0;
    queue_.receive(buffer.data(), buffer.size(), size, priority);
  }

 private:
  boost::interprocess::message_queue queue_;
};

// What shared memory can do at best: one producer, one consumer, who never sleep and do not notice
// when the other one is dead.
class BareRingLink {
 public:
  explicit BareRingLink(std::size_t size)
      : size_{size},
        capacity_{capacity_for(size)},
        memory_{
            ipc::SharedMemory::anonymous({.hash = 0, .size = sizeof(Header) + size_ * capacity_},
                                         [](std::byte* at) { new (at) Header; })} {}

  void send(std::span<const std::byte> message) {
    const std::size_t position = header().tail.load(std::memory_order_relaxed);
    while (position - header().head.load(std::memory_order_acquire) == capacity_) spin_pause();
    std::memcpy(slot(position), message.data(), size_);
    header().tail.store(position + 1, std::memory_order_release);
  }
  void receive(std::span<std::byte> buffer) {
    const std::size_t position = header().head.load(std::memory_order_relaxed);
    while (header().tail.load(std::memory_order_acquire) == position) spin_pause();
    std::memcpy(buffer.data(), slot(position), size_);
    header().head.store(position + 1, std::memory_order_release);
  }

 private:
  struct Header {
    alignas(64) std::atomic<std::size_t> head = 0;
    alignas(64) std::atomic<std::size_t> tail = 0;
  };
  Header& header() { return *reinterpret_cast<Header*>(memory_.data()); }
  std::byte* slot(std::size_t position) {
    return memory_.data() + sizeof(Header) + position % capacity_ * size_;
  }

  std::size_t size_;
  std::size_t capacity_;
  ipc::SharedMemory memory_;
};

}  // namespace procpool::demo
