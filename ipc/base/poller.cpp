#include "ipc/base/poller.hpp"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <unordered_map>
#include <vector>

#include "ipc/base/error.hpp"
#include "ipc/base/unique_fd.hpp"

namespace procpool {
namespace {

std::string name_of(int fd) {
  return "descriptor " + std::to_string(fd);
}

bool wants(Interest interest, Interest what) noexcept {
  return (static_cast<unsigned>(interest) & static_cast<unsigned>(what)) != 0;
}

}  // namespace

class Poller::Implementation {
 public:
  explicit Implementation(Backend kind) noexcept : backend{kind} {}
  virtual ~Implementation() = default;
  virtual void add(int fd, Interest interest, std::uint64_t token) = 0;
  virtual void modify(int fd, Interest interest, std::uint64_t token) = 0;
  virtual void remove(int fd) = 0;
  virtual std::size_t wait(std::span<Readiness> found, Deadline deadline) = 0;
  virtual int fd() const noexcept { return -1; }

  const Backend backend;
  std::array<Readiness, kMostAtOnce> found;
};

class Poller::Select final : public Implementation {
 public:
  using Implementation::Implementation;

  void add(int fd, Interest interest, std::uint64_t token) override {
    if (fd < 0) throw_errno("select", name_of(fd), EBADF);
    if (fd >= FD_SETSIZE) throw Error{"select", name_of(fd), "not below FD_SETSIZE (1024)"};
    if (!members_.try_emplace(fd, Member{interest, token}).second) {
      throw_errno("select", name_of(fd), EEXIST);
    }
  }

  void modify(int fd, Interest interest, std::uint64_t token) override {
    const auto member = members_.find(fd);
    if (member == members_.end()) throw_errno("select", name_of(fd), ENOENT);
    member->second = {interest, token};
  }

  void remove(int fd) override {
    if (members_.erase(fd) == 0) throw_errno("select", name_of(fd), ENOENT);
  }

  std::size_t wait(std::span<Readiness> out, Deadline deadline) override {
    fd_set read_set;
    fd_set write_set;
    FD_ZERO(&read_set);
    FD_ZERO(&write_set);
    int highest = -1;
    for (const auto& [fd, member] : members_) {
      if (wants(member.interest, Interest::read)) FD_SET(fd, &read_set);
      if (wants(member.interest, Interest::write)) FD_SET(fd, &write_set);
      highest = std::max(highest, fd);
    }
    if (select_until(highest + 1, read_set, write_set, deadline) <= 0) return 0;
    return collect(out, read_set, write_set);
  }

 private:
  struct Member {
    Interest interest;
    std::uint64_t token;
  };

  static int select_until(int count, fd_set& read_set, fd_set& write_set, Deadline deadline) {
    timeval limit{};
    if (const int milliseconds = deadline.poll_timeout(); milliseconds >= 0) {
      limit.tv_sec = milliseconds / 1000;
      limit.tv_usec = (milliseconds % 1000) * 1000;
    }
    const int n =
        ::select(count, &read_set, &write_set, nullptr, deadline.is_never() ? nullptr : &limit);
    if (n < 0 && errno != EINTR) throw_errno("select");
    return n;
  }

  // The search goes on where the last one ended, so that nobody starves behind kMostAtOnce busy
  // ones.
  std::size_t collect(std::span<Readiness> out, const fd_set& read_set, const fd_set& write_set) {
    std::size_t count = 0;
    for (int offset = 0; offset < FD_SETSIZE && count < out.size(); ++offset) {
      const int fd = (first_ + offset) % FD_SETSIZE;
      const bool readable = FD_ISSET(fd, &read_set);
      const bool writable = FD_ISSET(fd, &write_set);
      if (!readable && !writable) continue;
      out[count++] = {.token = members_.at(fd).token, .readable = readable, .writable = writable};
      if (count == out.size()) first_ = fd + 1;
    }
    return count;
  }

  std::unordered_map<int, Member> members_;
  int first_ = 0;
};

class Poller::Poll final : public Implementation {
 public:
  using Implementation::Implementation;

  void add(int fd, Interest interest, std::uint64_t token) override {
    if (fd < 0) throw_errno("poll", name_of(fd), EBADF);
    if (!places_.try_emplace(fd, items_.size()).second) throw_errno("poll", name_of(fd), EEXIST);
    items_.push_back({.fd = fd, .events = events_for(interest), .revents = 0});
    tokens_.push_back(token);
  }

  void modify(int fd, Interest interest, std::uint64_t token) override {
    const std::size_t place = place_of(fd);
    items_[place].events = events_for(interest);
    tokens_[place] = token;
  }

  void remove(int fd) override {
    const std::size_t place = place_of(fd);
    items_[place] = items_.back();
    tokens_[place] = tokens_.back();
    places_[items_[place].fd] = place;
    places_.erase(fd);
    items_.pop_back();
    tokens_.pop_back();
  }

  std::size_t wait(std::span<Readiness> out, Deadline deadline) override {
    const int n = ::poll(items_.data(), items_.size(), deadline.poll_timeout());
    if (n < 0 && errno != EINTR) throw_errno("poll");
    if (n <= 0) return 0;
    std::size_t count = 0;
    std::size_t place = first_;
    for (std::size_t i = 0; i < items_.size() && count < out.size(); ++i) {
      place = (first_ + i) % items_.size();
      if (items_[place].revents != 0) out[count++] = readiness_at(place);
    }
    first_ = place + 1;
    return count;
  }

 private:
  static short events_for(Interest interest) noexcept {
    short events = 0;
    if (wants(interest, Interest::read)) events = static_cast<short>(events | POLLIN | POLLRDHUP);
    if (wants(interest, Interest::write)) events = static_cast<short>(events | POLLOUT);
    return events;
  }

  Readiness readiness_at(std::size_t place) const {
    const pollfd& item = items_[place];
    if (item.revents & POLLNVAL) throw_errno("poll", name_of(item.fd), EBADF);
    const bool hangup = (item.revents & (POLLHUP | POLLERR)) != 0;
    return {.token = tokens_[place],
            .readable = (item.events & POLLIN) && (hangup || (item.revents & (POLLIN | POLLRDHUP))),
            .writable = (item.events & POLLOUT) && (hangup || (item.revents & POLLOUT)),
            .hangup = hangup};
  }

  std::size_t place_of(int fd) const {
    const auto place = places_.find(fd);
    if (place == places_.end()) throw_errno("poll", name_of(fd), ENOENT);
    return place->second;
  }

  std::vector<pollfd> items_;
  std::vector<std::uint64_t> tokens_;
  std::unordered_map<int, std::size_t> places_;
  std::size_t first_ = 0;
};

class Poller::Epoll final : public Implementation {
 public:
  explicit Epoll(Backend kind) : Implementation{kind}, epoll_{::epoll_create1(EPOLL_CLOEXEC)} {
    if (!epoll_.valid()) throw_errno("epoll_create1");
  }

  void add(int fd, Interest interest, std::uint64_t token) override {
    control(EPOLL_CTL_ADD, fd, interest, token);
  }
  void modify(int fd, Interest interest, std::uint64_t token) override {
    control(EPOLL_CTL_MOD, fd, interest, token);
  }
  void remove(int fd) override { control(EPOLL_CTL_DEL, fd, Interest::none, 0); }

  std::size_t wait(std::span<Readiness> out, Deadline deadline) override {
    const int n = ::epoll_wait(epoll_.fd(), events_.data(), static_cast<int>(events_.size()),
                               deadline.poll_timeout());
    if (n < 0 && errno != EINTR) throw_errno("epoll_wait");
    for (int i = 0; i < n; ++i) {
      const auto index = static_cast<std::size_t>(i);
      const std::uint32_t events = events_[index].events;
      const bool hangup = (events & (EPOLLHUP | EPOLLERR)) != 0;
      out[index] = {.token = events_[index].data.u64,
                    .readable = hangup || (events & (EPOLLIN | EPOLLRDHUP)) != 0,
                    .writable = hangup || (events & EPOLLOUT) != 0,
                    .hangup = hangup};
    }
    return n < 0 ? 0 : static_cast<std::size_t>(n);
  }

  int fd() const noexcept override { return epoll_.fd(); }

 private:
  std::uint32_t events_for(Interest interest) const noexcept {
    std::uint32_t events = 0;
    if (wants(interest, Interest::read)) events |= EPOLLIN | EPOLLRDHUP;
    if (wants(interest, Interest::write)) events |= EPOLLOUT;
    // EPOLLEXCLUSIVE refuses EPOLLRDHUP, epoll_ctl(2).
    if (interest == Interest::read_exclusive) events = EPOLLIN | EPOLLEXCLUSIVE;
    if (backend == Backend::epoll_edge) events |= EPOLLET;
    return events;
  }

  void control(int operation, int fd, Interest interest, std::uint64_t token) {
    epoll_event event{.events = events_for(interest), .data = {.u64 = token}};
    if (::epoll_ctl(epoll_.fd(), operation, fd, &event) < 0) throw_errno("epoll_ctl", name_of(fd));
  }

  UniqueFd epoll_;
  std::array<epoll_event, kMostAtOnce> events_;
};

Poller::Poller(Backend backend) {
  switch (backend) {
    case Backend::select:
      implementation_ = std::make_unique<Select>(backend);
      break;
    case Backend::poll:
      implementation_ = std::make_unique<Poll>(backend);
      break;
    case Backend::epoll_level:
    case Backend::epoll_edge:
      implementation_ = std::make_unique<Epoll>(backend);
      break;
  }
}

Poller::Poller(Poller&&) noexcept = default;
Poller& Poller::operator=(Poller&&) noexcept = default;
Poller::~Poller() = default;

void Poller::add(int fd, Interest interest, std::uint64_t token) {
  implementation_->add(fd, interest, token);
}

void Poller::modify(int fd, Interest interest, std::uint64_t token) {
  implementation_->modify(fd, interest, token);
}

void Poller::remove(int fd) {
  implementation_->remove(fd);
}

std::span<const Readiness> Poller::wait(Deadline deadline) {
  const std::span<Readiness> found{implementation_->found};
  return found.first(implementation_->wait(found, deadline));
}

int Poller::fd() const noexcept {
  return implementation_->fd();
}

Poller::Backend Poller::backend() const noexcept {
  return implementation_->backend;
}

std::string_view name_of(Poller::Backend backend) noexcept {
  switch (backend) {
    case Poller::Backend::select:
      return "select";
    case Poller::Backend::poll:
      return "poll";
    case Poller::Backend::epoll_level:
      return "epoll-level";
    case Poller::Backend::epoll_edge:
      return "epoll-edge";
  }
  return "unknown";
}

}  // namespace procpool
