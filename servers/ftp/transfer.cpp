#include "servers/ftp/transfer.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <string_view>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/pipe.hpp"
#include "servers/net/wait.hpp"

namespace procpool::ftp {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kPiece = std::size_t{1} << 20;
constexpr std::size_t kTextPiece = std::size_t{64} << 10;

// A limited transfer moves so often.
constexpr std::uint64_t kStepsPerSecond = 10;

TransferResult of_client(const net::IoResult& result) {
  return {.problem = result.failed() ? Problem::client : Problem::none, .error = result.error};
}
TransferResult of_file(int error) {
  return {.problem = Problem::file, .error = error};
}

// Keeps a transfer at its rate: what was moved too early is waited for.
class Pace {
 public:
  explicit Pace(const TransferRules& rules)
      : loop_{rules.loop}, rate_{rules.rate}, began_{Deadline::Clock::now()} {}

  std::size_t piece(std::size_t most) const {
    return rate_ == 0 ? most
                      : std::clamp<std::size_t>(static_cast<std::size_t>(rate_ / kStepsPerSecond),
                                                1, most);
  }
  bool must_wait() const { return rate_ != 0; }
  net::Wait wait_for_turn(std::uint64_t moved) {
    const double seconds = static_cast<double>(moved) / static_cast<double>(rate_);
    const auto due = began_ + std::chrono::duration_cast<Deadline::Clock::duration>(
                                  std::chrono::duration<double>{seconds});
    return net::sleep_until(loop_, Deadline::at(due));
  }

 private:
  Loop& loop_;
  std::uint64_t rate_;
  Deadline::Clock::time_point began_;
};

ipc::Pipe make_large_pipe() {
  ipc::Pipe pipe = ipc::make_pipe();
  ::fcntl(pipe.writer.fd(), F_SETPIPE_SZ, static_cast<int>(kPiece));  // or as it is
  return pipe;
}

void append_with_crlf(std::string& out, std::string_view text, char& before) {
  for (const char c : text) {
    if (c == '\n' && before != '\r') out.push_back('\r');
    out.push_back(c);
    before = c;
  }
}

// A CR at the end of a piece may belong to a LF that is still to come.
void append_without_cr(std::string& out, std::string_view text, bool& held_cr) {
  for (const char c : text) {
    if (held_cr && c != '\n') out.push_back('\r');
    held_cr = c == '\r';
    if (!held_cr) out.push_back(c);
  }
}

// There is no room for one byte more: nor need there be, if that was all.
net::Task<TransferResult> end_or_too_much(net::Stream& data, TransferRules rules) {
  std::array<char, 1> byte;
  const auto got = co_await data.read_some(byte, Deadline::in(rules.patience));
  if (got.failed()) co_return of_client(got);
  co_return got.bytes == 0 ? TransferResult{} : of_file(EDQUOT);
}

}  // namespace

net::Task<TransferResult> send_file(net::Stream& data, int file, off_t offset,
                                    TransferRules rules) {
  struct stat facts{};
  if (::fstat(file, &facts) != 0) co_return of_file(errno);
  Pace pace{rules};
  std::uint64_t moved = 0;
  for (off_t left = facts.st_size - offset; left > 0;) {
    const std::size_t piece = std::min(static_cast<std::size_t>(left), pace.piece(kPiece));
    const net::IoResult sent = co_await data.send_file(file, offset, piece, rules.patience);
    moved += sent.bytes;
    rules.done = moved;
    if (sent.error == EIO) co_return of_file(EIO);  // it has become shorter
    if (sent.failed()) co_return of_client(sent);
    offset += static_cast<off_t>(piece);
    left -= static_cast<off_t>(piece);
    if (pace.must_wait()) co_await pace.wait_for_turn(moved);
  }
  co_return TransferResult{};
}

net::Task<TransferResult> send_text_file(net::Stream& data, int file, TransferRules rules) {
  auto buffer = std::make_unique<std::array<char, kTextPiece>>();
  Pace pace{rules};
  std::string out;
  char before = 0;
  std::uint64_t moved = 0;
  for (;;) {
    const ssize_t n =
        retry_eintr([&] { return ::read(file, buffer->data(), pace.piece(buffer->size())); });
    if (n < 0) co_return of_file(errno);
    if (n == 0) co_return TransferResult{};
    out.clear();
    append_with_crlf(out, {buffer->data(), static_cast<std::size_t>(n)}, before);
    const auto sent = co_await data.write(out, Deadline::in(rules.patience));
    if (sent.failed()) co_return of_client(sent);
    moved += out.size();
    rules.done = moved;
    if (pace.must_wait()) co_await pace.wait_for_turn(moved);
  }
}

net::Task<TransferResult> receive_file(net::Stream& data, int file, const Room& room,
                                       TransferRules rules) {
  ipc::Pipe pipe = make_large_pipe();
  Pace pace{rules};
  std::uint64_t moved = 0;
  for (;;) {
    const std::uint64_t allowed = room(moved + 1);
    if (allowed <= moved) co_return co_await end_or_too_much(data, rules);
    const std::size_t piece = pace.piece(std::min<std::uint64_t>(4 * kPiece, allowed - moved));
    const auto got = co_await data.receive_file(file, pipe, piece, Deadline::in(rules.patience));
    moved += got.bytes;
    rules.done = moved;
    if (got.of_file) co_return of_file(got.error);
    if (got.failed()) co_return of_client(got);
    if (got.bytes == 0) co_return TransferResult{};
    if (pace.must_wait()) co_await pace.wait_for_turn(moved);
  }
}

net::Task<TransferResult> receive_text_file(net::Stream& data, int file, const Room& room,
                                            TransferRules rules) {
  auto buffer = std::make_unique<std::array<char, kTextPiece>>();
  Pace pace{rules};
  std::string out;
  bool held_cr = false;
  std::uint64_t moved = 0;
  std::uint64_t written = 0;
  for (;;) {
    const auto got = co_await data.read_some({buffer->data(), pace.piece(buffer->size())},
                                             Deadline::in(rules.patience));
    if (got.failed()) co_return of_client(got);
    out.clear();
    append_without_cr(out, {buffer->data(), got.bytes}, held_cr);
    if (got.bytes == 0 && held_cr) out.push_back('\r');
    written += out.size();
    if (room(written) < written) co_return of_file(EDQUOT);
    try {
      write_full(file, out, "upload");
    } catch (const Error& error) {
      co_return of_file(error.code().value());
    }
    if (got.bytes == 0) co_return TransferResult{};
    moved += got.bytes;
    rules.done = moved;
    if (pace.must_wait()) co_await pace.wait_for_turn(moved);
  }
}

net::Task<TransferResult> send_pieces(net::Stream& data, NextPiece next, TransferRules rules) {
  std::uint64_t moved = 0;
  while (const auto piece = next()) {
    const auto sent = co_await data.write(*piece, Deadline::in(rules.patience));
    if (sent.failed()) co_return of_client(sent);
    moved += piece->size();
    rules.done = moved;
  }
  co_return TransferResult{};
}

}  // namespace procpool::ftp
