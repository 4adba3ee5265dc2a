// A stream of bytes from some processes to others.
//
//   auto [reader, writer] = ipc::make_pipe();
//   if (fork() == 0) { reader.close(); writer.write_full("ready"); _exit(0); }
//   writer.close();                              // or the end would never come
//   std::size_t n = reader.read_full(buffer);    // fewer than asked: the end came first
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "ipc/base/unique_fd.hpp"

namespace procpool::ipc {

// The end that reads. Owns a descriptor; a child of fork owns a copy of it. Several processes may
// read from one pipe: each byte goes to one of them.
class PipeReader {
 public:
  explicit PipeReader(UniqueFd end) noexcept : end_{std::move(end)} {}

  // Blocks until there are bytes; returns how many were read, at most buffer.size(). 0: no writer
  // is left, in any process. Throws Error.
  std::size_t read_some(std::span<std::byte> buffer);

  // Blocks until the buffer is full or no writer is left; returns how much was read. Throws Error.
  std::size_t read_full(std::span<std::byte> buffer);

  bool ready() const;                            // bytes or the end are there. Never blocks
  int fd() const noexcept { return end_.fd(); }  // readable: the same
  [[nodiscard]] UniqueFd release() noexcept { return std::move(end_); }
  void close() noexcept { end_.reset(); }

 private:
  UniqueFd end_;
};

// The end that writes. Up to PIPE_BUF (4096) bytes written at once stay together (pipe(7)), whoever
// else writes; more may be mixed with theirs.
class PipeWriter {
 public:
  explicit PipeWriter(UniqueFd end) noexcept : end_{std::move(end)} {}

  // Blocks until all is in the pipe. Throws Error: EPIPE when no reader is left, in any process,
  // and SIGPIPE is ignored or blocked, as every program of several processes should have it.
  void write_full(std::span<const std::byte> bytes);
  void write_full(std::string_view text);

  int fd() const noexcept { return end_.fd(); }
  [[nodiscard]] UniqueFd release() noexcept { return std::move(end_); }
  void close() noexcept { end_.reset(); }

 private:
  UniqueFd end_;
};

struct Pipe {
  PipeReader reader;
  PipeWriter writer;
};

// Both ends are blocking and close-on-exec. Throws Error (EMFILE). pipe2(2).
Pipe make_pipe();

}  // namespace procpool::ipc
