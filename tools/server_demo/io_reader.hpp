// What every I/O model does the same: three clients are there, each says a line at a moment of its
// own, waits for the answer, and leaves. How the reader waits for them is the model's.
//
//   while (reader.anybody()) {
//     for (Client& client : reader.clients()) if (is_ready(client)) reader.take(client);
//   }
#pragma once

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include <array>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ipc/base/unique_fd.hpp"
#include "tools/stage.hpp"

namespace procpool::server_demo {

enum class Call {
  read,
  write,
  fcntl,
  setsockopt,
  select,
  poll,
  epoll_create1,
  epoll_ctl,
  epoll_wait
};
inline constexpr std::array<std::string_view, 9> kCallNames{
    "read", "write",         "fcntl",     "setsockopt", "select",
    "poll", "epoll_create1", "epoll_ctl", "epoll_wait"};

// How often the kernel was asked, and how often for nothing. A value, fit for shared memory.
struct CallCounts {
  std::array<unsigned, kCallNames.size()> by_call{};
  unsigned reads_in_vain = 0;

  unsigned of(Call call) const { return by_call.at(static_cast<std::size_t>(call)); }
  unsigned all() const { return std::accumulate(by_call.begin(), by_call.end(), 0U); }
};

// The only way by which a model asks the kernel: so all of it is counted. Throws Error.
class Kernel {
 public:
  explicit Kernel(CallCounts& counts) : counts_{counts} {}

  // How many bytes; 0: the end; -1: none are there (EAGAIN).
  ssize_t read(int fd, std::span<char> buffer);
  void write(int fd, std::string_view bytes);
  void make_nonblocking(int fd);
  void set_read_timeout(int fd, std::chrono::milliseconds time);
  void select(int beyond_highest, fd_set& readable);
  void poll(std::span<pollfd> sockets);
  UniqueFd epoll_create();
  void epoll_add(int epoll, int fd, std::uint32_t events, void* mark);
  std::span<epoll_event> epoll_wait(int epoll, std::span<epoll_event> events, int timeout_ms = -1);

 private:
  long check(Call call, long result);
  CallCounts& counts_;
};

inline constexpr std::array<std::string_view, 3> kClientNames{"ada", "bob", "cyn"};
inline constexpr std::string_view kGreeting = "good morning, dear reader\n";
inline constexpr std::string_view kAnswer = "good morning\n";
inline constexpr std::size_t kBite = 16;  // bytes that the reader takes at once

struct Client {
  std::string_view name;
  UniqueFd socket;  // not valid: it has left
  std::string line{};
  std::coroutine_handle<> waiter{};  // of the model that has coroutines

  int fd() const { return socket.fd(); }
  bool is_there() const { return socket.valid(); }
};

// What came of it. In memory that the director sees, too.
struct IoRecord {
  CallCounts calls;
  std::array<char, 16> answered{};  // their first letters, in the order in which they were served
  std::size_t unread = 0;           // bytes that lay there when the reader went home
};

enum class Telling { aloud, not_at_all };

class Reader {
 public:
  Reader(demo::Stage& stage, Telling telling, std::vector<Client> clients, IoRecord& record);

  enum class Got { bytes, nothing, end };

  // One read of kBite bytes; a line that is whole is answered. Got::nothing: EAGAIN.
  Got take(Client& client);

  std::vector<Client>& clients() { return clients_; }
  bool anybody() const;
  Kernel& kernel() { return kernel_; }

  template <typename... Parts>
  void say(const Parts&... parts) {
    if (telling_ == Telling::aloud) stage_.say(parts...);
  }

  // Goes home: what was not read until now will not be.
  void close();

 private:
  std::string vain_reads();
  void answer(Client& client);

  demo::Stage& stage_;
  Telling telling_;
  std::vector<Client> clients_;
  IoRecord& record_;
  Kernel kernel_;
  unsigned told_in_vain_ = 0;
};

}  // namespace procpool::server_demo
