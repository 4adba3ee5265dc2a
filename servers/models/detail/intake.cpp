#include "servers/models/detail/intake.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>
#include <variant>

#include "ipc/base/error.hpp"

namespace procpool::models::detail {
namespace {

constexpr std::size_t kRefuseAtOnce = 64;

UniqueFd open_spare() {
  return UniqueFd{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
}

}  // namespace

Intake::Intake(Uses uses, std::string_view refusal)
    : uses_{std::move(uses)}, refusal_{refusal}, spare_{open_spare()} {}

std::optional<UniqueFd> Intake::accept(const net::Listener& listener) {
  auto result = listener.try_accept();
  if (auto* socket = std::get_if<UniqueFd>(&result)) return std::move(*socket);
  const int error = std::get<int>(result);
  if (error == EAGAIN || error == EWOULDBLOCK) return std::nullopt;
  if (!std::exchange(refused_for_lack_, true)) {
    uses_.complain("accept on " + listener.address().text() + ": " + error_text(error) +
                   "; refusing connections until that ends");
  }
  if (error == EMFILE || error == ENFILE) refuse_some(listener);
  uses_.pause();
  return std::nullopt;
}

// Closing the reserve makes room for one client at a time: each learns what is wrong instead of
// hanging in the queue. What it has sent is read first, because closing over unread data resets the
// connection, and the reset can overtake the answer.
void Intake::refuse_some(const net::Listener& listener) {
  std::array<char, 4096> unread;
  spare_.reset();
  for (std::size_t refused = 0; refused < kRefuseAtOnce; ++refused) {
    auto result = listener.try_accept();
    const auto* socket = std::get_if<UniqueFd>(&result);
    if (socket == nullptr) break;
    while (::recv(socket->fd(), unread.data(), unread.size(), MSG_DONTWAIT) ==
           static_cast<ssize_t>(unread.size())) {
    }
    ::send(socket->fd(), refusal_.data(), refusal_.size(), MSG_NOSIGNAL);
    ::shutdown(socket->fd(), SHUT_WR);
    if (uses_.refused) uses_.refused();
  }
  spare_ = open_spare();
}

// The reserve makes room for the descriptor: one that comes without room is lost.
std::optional<UniqueFd> Intake::receive(ipc::Channel& channel) {
  if (!spare_.valid()) spare_ = open_spare();
  if (!spare_.valid()) {
    uses_.pause();
    return std::nullopt;
  }
  std::array<std::byte, 16> note;
  spare_.reset();
  auto received = channel.try_receive(note);
  spare_ = open_spare();
  if (received.outcome != ipc::Channel::Outcome::message) return std::nullopt;
  if (received.descriptors_lost) {
    uses_.complain("a connection is lost: no descriptor was left for it");
  }
  return std::move(received.descriptors[0]);
}

void Intake::begin(UniqueFd socket) {
  refused_for_lack_ = false;
  uses_.begin(std::move(socket));
}

}  // namespace procpool::models::detail
