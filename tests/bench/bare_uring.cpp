// The same floor as bare_loop on io_uring, with what it offers for that: accept and recv that stay
// armed, buffers that the kernel chooses from a ring, sends that are reported only when they fail,
// and one system call for all that is ready.
//
//   bare_uring PORT FILE         serves FILE on 127.0.0.1:PORT, whatever is asked for
#include <liburing.h>

#include <array>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <vector>

#include "tests/bench/bare_http.hpp"

namespace procpool::bench {
namespace {

constexpr unsigned kEntries = 4096;
constexpr unsigned kBuffers = 256;
constexpr int kGroup = 0;

enum class What : std::uint64_t { accept, receive, send };

void check(int result, const char* operation) {
  if (result >= 0) return;
  errno = -result;
  throw_errno(operation);
}

class Ring {
 public:
  Ring() {
    io_uring_params parameters{};
    parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    check(io_uring_queue_init_params(kEntries, &ring_, &parameters), "io_uring_queue_init");
    provide_buffers();
  }
  ~Ring() { io_uring_queue_exit(&ring_); }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  void accept(int listener) {
    io_uring_sqe* const entry = next();
    io_uring_prep_multishot_accept(entry, listener, nullptr, nullptr, SOCK_CLOEXEC);
    tag(entry, What::accept, listener);
  }
  void receive(int connection) {
    io_uring_sqe* const entry = next();
    io_uring_prep_recv_multishot(entry, connection, nullptr, 0, 0);
    entry->flags |= IOSQE_BUFFER_SELECT;
    entry->buf_group = kGroup;
    tag(entry, What::receive, connection);
  }
  void send(int connection, std::string_view text) {
    io_uring_sqe* const entry = next();
    io_uring_prep_send(entry, connection, text.data(), text.size(), MSG_NOSIGNAL | MSG_WAITALL);
    entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
    tag(entry, What::send, connection);
  }

  // Calls `handle(what, fd, completion)` for all that is complete, when anything is.
  template <typename Handle>
  void run_once(const Handle& handle) {
    check(io_uring_submit_and_wait(&ring_, 1), "io_uring_submit_and_wait");
    unsigned head = 0;
    unsigned count = 0;
    io_uring_cqe* completion = nullptr;
    io_uring_for_each_cqe(&ring_, head, completion) {
      const std::uint64_t data = completion->user_data;
      handle(static_cast<What>(data >> 32), static_cast<int>(data & 0xffffffff), *completion);
      ++count;
    }
    io_uring_cq_advance(&ring_, count);
  }

  std::string_view text_of(const io_uring_cqe& completion) const {
    return {&memory_[number_of(completion) * Answers::kBuffer],
            static_cast<std::size_t>(completion.res)};
  }
  void give_back(const io_uring_cqe& completion) {
    add_buffer(number_of(completion), 0);
    io_uring_buf_ring_advance(buffers_, 1);
  }

 private:
  static std::size_t number_of(const io_uring_cqe& completion) {
    return completion.flags >> IORING_CQE_BUFFER_SHIFT;
  }
  static void tag(io_uring_sqe* entry, What what, int fd) {
    entry->user_data = static_cast<std::uint64_t>(what) << 32 | static_cast<std::uint32_t>(fd);
  }

  io_uring_sqe* next() {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    if (entry == nullptr) {
      check(io_uring_submit(&ring_), "io_uring_submit");
      entry = io_uring_get_sqe(&ring_);
    }
    return entry;
  }

  void provide_buffers() {
    void* memory = nullptr;
    if (::posix_memalign(&memory, 4096, kBuffers * sizeof(io_uring_buf)) != 0)
      throw_errno("posix_memalign");
    buffers_ = static_cast<io_uring_buf_ring*>(memory);
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<std::uintptr_t>(buffers_);
    registration.ring_entries = kBuffers;
    registration.bgid = kGroup;
    check(io_uring_register_buf_ring(&ring_, &registration, 0), "io_uring_register_buf_ring");
    io_uring_buf_ring_init(buffers_);
    for (unsigned i = 0; i < kBuffers; ++i) add_buffer(i, static_cast<int>(i));
    io_uring_buf_ring_advance(buffers_, kBuffers);
  }
  void add_buffer(std::size_t number, int offset) {
    io_uring_buf_ring_add(buffers_, &memory_[number * Answers::kBuffer], Answers::kBuffer,
                          static_cast<unsigned short>(number), io_uring_buf_ring_mask(kBuffers),
                          offset);
  }

  io_uring ring_{};
  io_uring_buf_ring* buffers_ = nullptr;  // as long as the process
  std::vector<char> memory_ = std::vector<char>(kBuffers * Answers::kBuffer);
};

void run(std::uint16_t port, const std::string& file) {
  const Answers answers{file};
  const auto listener = listen_on(port);
  Ring ring;
  ring.accept(listener.fd());
  for (;;) {
    ring.run_once([&](What what, int fd, const io_uring_cqe& completion) {
      const bool stays = (completion.flags & IORING_CQE_F_MORE) != 0;
      if (what == What::accept) {
        if (completion.res >= 0) ring.receive(completion.res);
        if (!stays) ring.accept(fd);
      } else if (what == What::receive) {
        if (completion.res > 0) {
          ring.send(fd, answers.to(ring.text_of(completion)));
          ring.give_back(completion);
        }
        if (completion.res > 0 || completion.res == -ENOBUFS) {
          if (!stays) ring.receive(fd);
        } else {
          UniqueFd{fd}.reset();
        }
      }
    });
  }
}

}  // namespace
}  // namespace procpool::bench

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::cerr << "usage: bare_uring PORT FILE\n";
    return 2;
  }
  procpool::bench::run(static_cast<std::uint16_t>(std::atoi(argv[1])), argv[2]);
} catch (const std::exception& error) {
  std::cerr << "bare_uring: " << error.what() << '\n';
  return 1;
}
