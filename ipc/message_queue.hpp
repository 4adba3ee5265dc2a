// Messages with priorities, kept by the kernel: the queue of POSIX, mq_overview(7).
//
//   auto queue = ipc::MessageQueue::open("/alarms", {.capacity = 10, .message_size = 256});
//   queue.send(bytes, 5);                                   // priority 0 to 32767: high first
//   auto message = queue.receive(buffer);                   // of message_size bytes or more
//   handle(std::span{buffer}.first(message.size), message.priority);
//   ipc::MessageQueue::unlink("/alarms");                   // or it lasts until the next boot
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ipc/base/deadline.hpp"
#include "ipc/base/unique_fd.hpp"
#include "ipc/detail/deadline_of.hpp"

namespace procpool::ipc {

struct MessageQueueOptions {
  std::size_t capacity = 10;        // messages; see /proc/sys/fs/mqueue/msg_max
  std::size_t message_size = 8192;  // of the largest, in bytes; msgsize_max there
  mode_t mode = S_IRUSR | S_IWUSR;  // of one that is made, lessened by the umask(2)
};

// Any number of processes and threads send and receive: a message goes whole to one receiver, the
// one of the highest priority first, the oldest first among equals. A process killed at any
// instruction has sent a message or has not, and takes with it at most the one that it had
// received. The queue and what is in it outlive all processes until unlink(). Move only; a child of
// fork has the same queue. Where speed matters or a message is large, Queue is the better one.
class MessageQueue {
 public:
  static constexpr unsigned kHighestPriority = 32767;

  // The queue of this name (a slash and 1 to 255 characters without one), made if there is none.
  // Throws Error: one that is there has another capacity or message size; a limit of the system,
  // which it names; EACCES.
  static MessageQueue open(std::string_view name, const MessageQueueOptions& options);

  // One that is there. Throws Error: ENOENT, EACCES.
  static MessageQueue open(std::string_view name);

  // Takes the name away; who has the queue keeps it. False: there is none of this name.
  static bool unlink(std::string_view name);  // throws Error

  // Blocks while the queue is full. An empty message is one, too. Throws Error: EMSGSIZE, larger
  // than message_size; a priority above the highest. try_ and _until say false: it is full (still).
  void send(std::span<const std::byte> message, unsigned priority = 0) {
    send_until(Deadline::never(), message, priority);
  }
  bool try_send(std::span<const std::byte> message, unsigned priority = 0);
  bool send_until(Deadline deadline, std::span<const std::byte> message, unsigned priority = 0);
  template <typename Rep, typename Period>
  bool send_for(std::chrono::duration<Rep, Period> time, std::span<const std::byte> message,
                unsigned priority = 0) {
    return send_until(detail::deadline_of(time), message, priority);
  }

  struct Received {
    std::size_t size;  // in the buffer
    unsigned priority;
  };

  // Blocks while the queue is empty. Throws Error EMSGSIZE when the buffer is smaller than the
  // queue's message_size; the message stays. try_ and _until say nullopt: it is empty (still).
  Received receive(std::span<std::byte> buffer) {
    return *receive_until(Deadline::never(), buffer);
  }
  std::optional<Received> try_receive(std::span<std::byte> buffer);
  std::optional<Received> receive_until(Deadline deadline, std::span<std::byte> buffer);
  template <typename Rep, typename Period>
  std::optional<Received> receive_for(std::chrono::duration<Rep, Period> time,
                                      std::span<std::byte> buffer) {
    return receive_until(detail::deadline_of(time), buffer);
  }

  // Once, when a message comes into the empty queue and nobody is waiting in a receive(): sends
  // this process the signal, with the value (si_value.sival_int; sigqueue(3), SI_MESGQ). One
  // process may have asked for it at a time. mq_notify(3). Throws Error: EBUSY, another one has.
  void notify(int signal_number, int value = 0);
  void cancel_notification();  // also done by the end of this process

  struct Attributes {
    std::size_t capacity;
    std::size_t message_size;
    std::size_t size;  // messages in it at this moment
  };
  Attributes attributes() const;  // throws Error

  bool ready() const;                              // a message is there. Never blocks
  int fd() const noexcept { return queue_.fd(); }  // readable: the same; writable: there is room

 private:
  MessageQueue(UniqueFd queue, std::string name) noexcept;

  UniqueFd queue_;  // on Linux its descriptor is one of a file, in non-blocking mode here
  std::string name_;
};

}  // namespace procpool::ipc
