#include "tools/server_demo/io_reader.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "ipc/base/error.hpp"

namespace procpool::server_demo {

using demo::text;

long Kernel::check(Call call, long result) {
  const auto number = static_cast<std::size_t>(call);
  ++counts_.by_call.at(number);
  if (result < 0) throw_errno(kCallNames.at(number));
  return result;
}

ssize_t Kernel::read(int fd, std::span<char> buffer) {
  const ssize_t bytes = ::read(fd, buffer.data(), buffer.size());
  const bool in_vain = bytes < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  if (in_vain) ++counts_.reads_in_vain;
  check(Call::read, in_vain ? 0 : bytes);
  return bytes;
}

void Kernel::write(int fd, std::string_view bytes) {
  check(Call::write, ::write(fd, bytes.data(), bytes.size()));
}

void Kernel::make_nonblocking(int fd) {
  const long flags = check(Call::fcntl, ::fcntl(fd, F_GETFL));
  check(Call::fcntl, ::fcntl(fd, F_SETFL, flags | O_NONBLOCK));
}

void Kernel::set_read_timeout(int fd, std::chrono::milliseconds time) {
  const timeval value{
      .tv_sec = 0, .tv_usec = std::chrono::duration_cast<std::chrono::microseconds>(time).count()};
  check(Call::setsockopt, ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &value, sizeof value));
}

void Kernel::select(int beyond_highest, fd_set& readable) {
  check(Call::select, ::select(beyond_highest, &readable, nullptr, nullptr, nullptr));
}

void Kernel::poll(std::span<pollfd> sockets) {
  check(Call::poll, ::poll(sockets.data(), sockets.size(), -1));
}

UniqueFd Kernel::epoll_create() {
  return UniqueFd{static_cast<int>(check(Call::epoll_create1, ::epoll_create1(EPOLL_CLOEXEC)))};
}

void Kernel::epoll_add(int epoll, int fd, std::uint32_t events, void* mark) {
  epoll_event event{.events = events, .data = {.ptr = mark}};
  check(Call::epoll_ctl, ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

std::span<epoll_event> Kernel::epoll_wait(int epoll, std::span<epoll_event> events,
                                          int timeout_ms) {
  const long ready =
      check(Call::epoll_wait,
            ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), timeout_ms));
  return events.first(static_cast<std::size_t>(ready));
}

Reader::Reader(demo::Stage& stage, Telling telling, std::vector<Client> clients, IoRecord& record)
    : stage_{stage},
      telling_{telling},
      clients_{std::move(clients)},
      record_{record},
      kernel_{record.calls} {}

Reader::Got Reader::take(Client& client) {
  std::array<char, kBite> buffer;
  const ssize_t bytes = kernel_.read(client.fd(), buffer);
  if (bytes < 0) return Got::nothing;
  if (bytes == 0) {
    say(vain_reads(), "sees that ", client.name, " has left");
    client.socket.reset();
    return Got::end;
  }
  client.line.append(buffer.data(), static_cast<std::size_t>(bytes));
  say(vain_reads(), "reads ", bytes, " bytes from ", client.name);
  if (client.line.ends_with('\n')) answer(client);
  return Got::bytes;
}

void Reader::answer(Client& client) {
  say("has the whole line of ", client.name, " now: answers");
  *std::ranges::find(record_.answered, '\0') = client.name.front();
  kernel_.write(client.fd(), kAnswer);
}

// Too many to tell each.
std::string Reader::vain_reads() {
  const unsigned in_vain =
      record_.calls.reads_in_vain - std::exchange(told_in_vain_, record_.calls.reads_in_vain);
  return in_vain == 0 ? ""
                      : text("asked ", in_vain, in_vain == 1 ? " time" : " times", " in vain; ");
}

bool Reader::anybody() const {
  return std::ranges::any_of(clients_, &Client::is_there);
}

void Reader::close() {
  for (Client& client : clients_) {
    if (!client.is_there()) continue;
    int unread = 0;
    if (::ioctl(client.fd(), FIONREAD, &unread) < 0) throw_errno("FIONREAD");
    record_.unread += static_cast<std::size_t>(unread);
    client.socket.reset();
  }
}

}  // namespace procpool::server_demo
