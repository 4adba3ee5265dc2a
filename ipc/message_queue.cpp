#include "ipc/message_queue.hpp"

#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"

namespace procpool::ipc {
namespace {

constexpr std::string_view kOpen = "open message queue";
constexpr int kFlags = O_RDWR | O_CLOEXEC | O_NONBLOCK;

std::string checked(std::string_view operation, std::string_view name) {
  const bool valid = name.size() > 1 && name.size() <= NAME_MAX + 1 && name.front() == '/' &&
                     name.find_first_of(std::string_view{"/\0", 2}, 1) == std::string_view::npos;
  if (!valid) {
    throw Error{operation, name, "a name is a slash and 1 to 255 characters without one"};
  }
  return std::string{name};
}

// "/proc/sys/fs/mqueue/msg_max (10)"
std::string named_limit(std::string_view limit) {
  const std::string path = "/proc/sys/fs/mqueue/" + std::string{limit};
  std::string value = read_file(path);
  if (value.ends_with('\n')) value.pop_back();
  return path + " (" + value + ")";
}

// The kernel's errnos for a queue that it does not make say little: mq_open(3), mq_overview(7).
[[noreturn]] void explain(int error, const std::string& name) {
  if (error == EINVAL) {
    throw Error{kOpen, name,
                "its capacity is not within 1 and " + named_limit("msg_max") +
                    ", or its message size not within 1 and " + named_limit("msgsize_max")};
  }
  if (error == ENOSPC) {
    throw Error{kOpen, name, "there are as many queues as " + named_limit("queues_max")};
  }
  if (error == EMFILE) {
    rlimit bytes{};
    ::getrlimit(RLIMIT_MSGQUEUE, &bytes);
    throw Error{kOpen, name,
                "no descriptor is free, or this user's queues would take more than "
                "RLIMIT_MSGQUEUE (" +
                    std::to_string(bytes.rlim_cur) + " bytes)"};
  }
  throw_errno(kOpen, name, error);
}

}  // namespace

MessageQueue::MessageQueue(UniqueFd queue, std::string name) noexcept
    : queue_{std::move(queue)}, name_{std::move(name)} {}

MessageQueue MessageQueue::open(std::string_view name, const MessageQueueOptions& options) {
  std::string path = checked(kOpen, name);
  mq_attr wanted{};
  constexpr std::size_t kMost = LONG_MAX;
  wanted.mq_maxmsg = static_cast<long>(std::min(options.capacity, kMost));
  wanted.mq_msgsize = static_cast<long>(std::min(options.message_size, kMost));
  UniqueFd queue{::mq_open(path.c_str(), kFlags | O_CREAT, options.mode, &wanted)};
  if (!queue.valid()) explain(errno, path);
  MessageQueue opened{std::move(queue), std::move(path)};
  const Attributes found = opened.attributes();
  if (found.capacity != options.capacity || found.message_size != options.message_size) {
    throw Error{kOpen, name, "it has another capacity or message size"};
  }
  return opened;
}

MessageQueue MessageQueue::open(std::string_view name) {
  std::string path = checked(kOpen, name);
  UniqueFd queue{::mq_open(path.c_str(), kFlags)};
  if (!queue.valid()) throw_errno(kOpen, path);
  return MessageQueue{std::move(queue), std::move(path)};
}

bool MessageQueue::unlink(std::string_view name) {
  constexpr std::string_view kOperation = "unlink message queue";
  if (::mq_unlink(checked(kOperation, name).c_str()) == 0) return true;
  if (errno == ENOENT) return false;
  throw_errno(kOperation, name);
}

bool MessageQueue::try_send(std::span<const std::byte> message, unsigned priority) {
  if (priority > kHighestPriority) {
    throw Error{"send", name_, "a priority is 0 to " + std::to_string(kHighestPriority)};
  }
  const char* bytes = message.empty() ? "" : reinterpret_cast<const char*>(message.data());
  if (retry_eintr([&] { return ::mq_send(fd(), bytes, message.size(), priority); }) == 0) {
    return true;
  }
  if (errno == EAGAIN) return false;
  throw_errno("send", name_);
}

bool MessageQueue::send_until(Deadline deadline, std::span<const std::byte> message,
                              unsigned priority) {
  while (!try_send(message, priority)) {
    if (wait_ready(fd(), POLLOUT, deadline) == 0) return false;
  }
  return true;
}

std::optional<MessageQueue::Received> MessageQueue::try_receive(std::span<std::byte> buffer) {
  if (buffer.empty()) throw_errno("receive", name_, EMSGSIZE);  // which may have no address
  auto* bytes = reinterpret_cast<char*>(buffer.data());
  unsigned priority = 0;
  const ssize_t n =
      retry_eintr([&] { return ::mq_receive(fd(), bytes, buffer.size(), &priority); });
  if (n >= 0) return Received{.size = static_cast<std::size_t>(n), .priority = priority};
  if (errno == EAGAIN) return std::nullopt;
  throw_errno("receive", name_);
}

std::optional<MessageQueue::Received> MessageQueue::receive_until(Deadline deadline,
                                                                  std::span<std::byte> buffer) {
  for (;;) {
    if (const auto received = try_receive(buffer)) return received;
    if (wait_ready(fd(), POLLIN, deadline) == 0) return std::nullopt;
  }
}

void MessageQueue::notify(int signal_number, int value) {
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = signal_number;
  event.sigev_value.sival_int = value;
  if (::mq_notify(fd(), &event) < 0) throw_errno("notify", name_);
}

void MessageQueue::cancel_notification() {
  if (::mq_notify(fd(), nullptr) < 0) throw_errno("cancel notification", name_);
}

MessageQueue::Attributes MessageQueue::attributes() const {
  mq_attr found{};
  if (::mq_getattr(fd(), &found) < 0) throw_errno("get attributes", name_);
  return {.capacity = static_cast<std::size_t>(found.mq_maxmsg),
          .message_size = static_cast<std::size_t>(found.mq_msgsize),
          .size = static_cast<std::size_t>(found.mq_curmsgs)};
}

bool MessageQueue::ready() const {
  return wait_ready(fd(), POLLIN, Deadline::now()) != 0;
}

}  // namespace procpool::ipc
