// A connection, for coroutines: each operation has a deadline, and none has a thread.
//
//   Task<> echo(Stream stream) {
//     std::array<char, 4096> buffer;
//     for (;;) {
//       IoResult got = co_await stream.read_some(buffer, Deadline::in(60s));
//       if (got.failed() || got.bytes == 0) co_return;
//       const std::string_view bytes{buffer.data(), got.bytes};
//       if ((co_await stream.write(bytes, Deadline::in(30s))).failed()) co_return;
//     }
//   }
#pragma once

#include <sys/types.h>

#include <coroutine>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "ipc/base/deadline.hpp"
#include "ipc/base/loop.hpp"
#include "ipc/base/unique_fd.hpp"
#include "ipc/pipe.hpp"
#include "servers/net/interrupt.hpp"
#include "servers/net/io_result.hpp"
#include "servers/net/traffic.hpp"

namespace procpool::net {

// Owns a connected non-blocking socket and its place in a Loop. Move only, though never while an
// operation waits; one operation at a time. For the loop's thread. Destroying it closes the socket.
// A server process that ends while a Stream is open closes the connection: what must survive is
// given away with release().
//
// The operations are awaitables and not coroutines: they allocate nothing, and one that need not
// wait does not suspend; but after some of them in a row the others of the loop have their turn.
class Stream {
 public:
  // What is read is counted in `traffic`, which is lent, if there is one; not what receive_file()
  // moves.
  Stream(Loop& loop, UniqueFd socket, Traffic* traffic = nullptr);
  Stream(Stream&&) noexcept;
  Stream& operator=(Stream&&) noexcept;
  ~Stream();

  class Operation;
  class Interruptible;
  class Readable;
  class ReadSome;
  class Write;
  class SendFile;
  class ReceiveFile;
  class Departure;
  template <typename Awaiter>
  class Meanwhile;

  // Something to read has probably come before this stream was made (TCP_DEFER_ACCEPT, tcp(7)): so
  // it is looked for, before it is waited for. Else nothing is lost but that look.
  void expect_input() noexcept;

  // Waits until there is something to read, or the end. Holds no buffer: this is where a connection
  // idles.
  Readable readable(Deadline deadline);
  Readable readable(Deadline deadline, Interrupt& interrupt);

  // Reads what is there, at least one byte unless the end comes first. `buffer` must not be empty.
  ReadSome read_some(std::span<char> buffer, Deadline deadline);

  // Writes all of it. With More::yes the kernel may hold back a last partial packet for what
  // follows (MSG_MORE, send(2)).
  enum class More { no, yes };
  Write write(std::string_view bytes, Deadline deadline, More more = More::no);

  // Sends `length` bytes of a file from `offset` with sendfile(2); the file's own offset is not
  // used. If the file is shorter than that, the result is EIO with the bytes that were sent.
  // `patience` bounds each wait in turn, so that a slow reader who goes on reading is not cut off;
  // he still cannot stay for ever, because the kernel calls a socket writable only when a third of
  // its send buffer is free.
  SendFile send_file(int file, off_t offset, std::size_t length,
                     Deadline::Clock::duration patience);

  // Moves what is there, up to `most` bytes and at least one unless the end comes first, to a file,
  // at the file's own offset: with splice(2) through `pipe`, which must be empty, and is left so
  // unless the file fails. The file must not be in append mode.
  ReceiveFile receive_file(int file, ipc::Pipe& pipe, std::size_t most, Deadline deadline);

  // Awaits something else, for as long as the peer is there: a result without a value says why the
  // wait was given up, by ECONNRESET (the peer has left, or will send nothing more), ETIMEDOUT or
  // ECANCELED; what was awaited goes on, until its owner destroys it or awaits it anew. What leaves
  // `awaiter` leaves this. A peer that has sent something meanwhile is seen to leave only when it
  // leaves by a reset.
  template <typename Awaiter>
  Meanwhile<Awaiter> while_connected(Awaiter&& awaiter, Deadline deadline = Deadline::never(),
                                     Interrupt* interrupt = nullptr);

  void shutdown_write() noexcept;  // the peer sees the end; shutdown(2)

  int fd() const noexcept;
  UniqueFd release();  // gives the socket away; nothing else may be called afterwards

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The part that all operations share. `attempt` makes one non-blocking try; the stream calls it
// again whenever the socket is ready, and resumes the coroutine when there is a result. A frame has
// room for each operation that is awaited in it: they are kept small.
class Stream::Operation {
 public:
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  bool await_ready();
  void await_suspend(std::coroutine_handle<> waiter);
  IoResult await_resume() const noexcept { return result_; }

 protected:
  Operation(State& state, Deadline deadline) noexcept : state_{state}, deadline_{deadline} {}
  ~Operation();

  virtual bool attempt() = 0;  // true: there is a result
  virtual Interest interest() const noexcept { return Interest::read; }
  bool finish(int error) noexcept;
  void extend(Deadline deadline) noexcept { deadline_ = deadline; }
  bool was_woken() const noexcept { return waiter_ != nullptr; }  // and not just begun

  State& state_;
  IoResult result_;

 private:
  friend struct State;
  Deadline deadline_;
  std::coroutine_handle<> waiter_;
};

class Stream::Interruptible : public Operation, private Interrupt::Waiter {
 public:
  bool await_ready();
  void await_suspend(std::coroutine_handle<> waiter);

 protected:
  Interruptible(State& state, Deadline deadline, Interrupt* interrupt) noexcept
      : Operation{state, deadline}, interrupt_{interrupt} {}
  ~Interruptible() = default;
  bool interrupt_raised() const noexcept { return interrupt_ != nullptr && interrupt_->raised(); }

 private:
  void interrupted() override;
  Interrupt* interrupt_;
};

class Stream::Readable final : public Interruptible {
 public:
  Readable(State& state, Deadline deadline, Interrupt* interrupt) noexcept
      : Interruptible{state, deadline, interrupt} {}

 private:
  bool attempt() override;
};

class Stream::ReadSome final : public Operation {
 public:
  ReadSome(State& state, std::span<char> buffer, Deadline deadline) noexcept
      : Operation{state, deadline}, buffer_{buffer} {}

 private:
  bool attempt() override;
  std::span<char> buffer_;
};

class Stream::Write final : public Operation {
 public:
  Write(State& state, std::string_view bytes, Deadline deadline, More more) noexcept
      : Operation{state, deadline}, bytes_{bytes}, more_{more} {}

 private:
  bool attempt() override;
  Interest interest() const noexcept override { return Interest::write; }
  std::string_view bytes_;
  More more_;
};

class Stream::SendFile final : public Operation {
 public:
  SendFile(State& state, int file, off_t offset, std::size_t length,
           Deadline::Clock::duration patience) noexcept;

 private:
  bool attempt() override;
  Interest interest() const noexcept override { return Interest::write; }
  int file_;
  off_t offset_;
  std::size_t left_;
  Deadline::Clock::duration patience_;
};

class Stream::ReceiveFile final : public Operation {
 public:
  struct Result : IoResult {
    bool of_file = false;  // the error is the file's, and not the connection's
  };

  ReceiveFile(State& state, int file, ipc::Pipe& pipe, std::size_t most, Deadline deadline) noexcept
      : Operation{state, deadline}, file_{file}, pipe_{pipe}, left_{most} {}
  Result await_resume() const noexcept { return {{result_}, of_file_}; }

 private:
  bool attempt() override;
  bool empty_pipe(std::size_t bytes);
  int file_;
  ipc::Pipe& pipe_;
  std::size_t left_;
  bool of_file_ = false;
};

// Waits for the end of what the peer sends.
class Stream::Departure : public Interruptible {
 public:
  Departure(State& state, Deadline deadline, Interrupt* interrupt) noexcept
      : Interruptible{state, deadline, interrupt} {}

 protected:
  bool begin(std::coroutine_handle<> waiter);  // false: interrupted

 private:
  bool attempt() override;
};

template <typename Awaiter>
class Stream::Meanwhile final : public Departure {
 public:
  using Value = decltype(std::declval<Awaiter&>().await_resume());
  struct Result {
    std::optional<Value> value;
    int error = 0;
  };

  Meanwhile(State& state, Awaiter&& awaiter, Deadline deadline, Interrupt* interrupt) noexcept
      : Departure{state, deadline, interrupt}, awaiter_{std::forward<Awaiter>(awaiter)} {}

  bool await_ready() { return awaiter_.await_ready(); }
  bool await_suspend(std::coroutine_handle<> waiter) {
    return awaiter_.await_suspend(waiter) && begin(waiter);
  }
  Result await_resume() {
    if (result_.failed()) return {.value = std::nullopt, .error = result_.error};
    return {.value = awaiter_.await_resume()};
  }

 private:
  Awaiter&& awaiter_;
};

template <typename Awaiter>
Stream::Meanwhile<Awaiter> Stream::while_connected(Awaiter&& awaiter, Deadline deadline,
                                                   Interrupt* interrupt) {
  return {*state_, std::forward<Awaiter>(awaiter), deadline, interrupt};
}

}  // namespace procpool::net
