#include "servers/models/detail/byte_connection.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <exception>
#include <utility>

#include "ipc/base/io.hpp"

namespace procpool::models::detail {
namespace {

// So that one who sends faster than he can be answered does not keep the others waiting.
constexpr int kMostReadsInATurn = 16;

// A connection that idles keeps no more room than this for its next answer.
constexpr std::size_t kMostKept = 256;

bool would_block(int error) noexcept {
  return error == EAGAIN || error == EWOULDBLOCK;
}

}  // namespace

ByteConnection::ByteConnection(ServerState& server, UniqueFd socket, ByteHandler handler)
    : server_{server},
      active_{server.statistics},
      socket_{std::move(socket)},
      handler_{std::move(handler)},
      client_{client_of(socket_.fd())} {}

ByteConnection::Wants ByteConnection::advance(std::span<char> buffer, Reads reads) {
  moved_ = false;
  bool took_all = false;
  for (int turn = 0; turn < kMostReadsInATurn; ++turn) {
    const Sent sent = send_rest();
    if (sent == Sent::in_part) return Wants::write;
    if (sent == Sent::never || (phase_ != Phase::serving && has_ended_)) return Wants::end;
    if (phase_ == Phase::closing) {
      ::shutdown(socket_.fd(), SHUT_WR);
      phase_ = Phase::lingering;
    }
    if (took_all && reads == Reads::what_is_there) return Wants::read;
    const ssize_t n =
        retry_eintr([&] { return ::recv(socket_.fd(), buffer.data(), buffer.size(), 0); });
    if (n < 0) return would_block(errno) ? Wants::read : Wants::end;
    const auto size = static_cast<std::size_t>(n);
    took_all = size > 0 && size < buffer.size();
    moved_ = true;
    handle({buffer.data(), size});
  }
  return Wants::turn;
}

// What leaves the handler ends the connection, and nothing else.
void ByteConnection::handle(std::string_view bytes) {
  has_ended_ = bytes.empty();
  if (!has_ended_) server_.statistics.count(bytes.size());
  if (phase_ == Phase::lingering) return;
  try {
    if (handler_(bytes, unsent_) == Then::close || has_ended_) phase_ = Phase::closing;
  } catch (...) {
    server_.count_failure(client_, text_of(std::current_exception()));
    unsent_.clear();
    has_ended_ = true;
    phase_ = Phase::closing;
  }
}

ByteConnection::Sent ByteConnection::send_rest() {
  while (sent_ < unsent_.size()) {
    const ssize_t n = retry_eintr([&] {
      return ::send(socket_.fd(), unsent_.data() + sent_, unsent_.size() - sent_, MSG_NOSIGNAL);
    });
    if (n < 0) return would_block(errno) ? Sent::in_part : Sent::never;
    moved_ = true;
    sent_ += static_cast<std::size_t>(n);
  }
  sent_ = 0;
  unsent_.clear();
  if (unsent_.capacity() > kMostKept) unsent_ = std::string{};
  return Sent::whole;
}

void ByteConnection::finish_reading() noexcept {
  ::shutdown(socket_.fd(), SHUT_RD);
}

}  // namespace procpool::models::detail
