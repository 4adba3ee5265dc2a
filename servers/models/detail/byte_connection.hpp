// A connection of a ByteHandler: all that is done without waiting.
//
//   ByteConnection connection{server, std::move(socket), make_handler()};
//   switch (connection.advance(buffer)) { case Wants::read: ...; case Wants::end: destroy it }
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ipc/base/unique_fd.hpp"
#include "servers/models/detail/server_state.hpp"
#include "servers/models/protocol.hpp"

namespace procpool::models::detail {

// Owns a non-blocking socket. For one thread. What it waits for, and how, is its owner's business.
class ByteConnection {
 public:
  enum class Wants : std::uint8_t {
    read,
    write,
    turn,  // there may be more to read, and others come first
    end,
  };

  // How much advance() reads before it says so. `all`: of one that is told of arrivals only once.
  enum class Reads : std::uint8_t { what_is_there, all };

  ByteConnection(ServerState& server, UniqueFd socket, ByteHandler handler);

  // Reads, calls the handler, and sends, until one of them would block. The buffer may be shared by
  // all connections of a thread. After `end` it is not to be called again.
  Wants advance(std::span<char> buffer, Reads reads);

  bool moved() const noexcept { return moved_; }  // the last advance() read or sent something
  int fd() const noexcept { return socket_.fd(); }

  // What has arrived is still answered, and then comes the end.
  void finish_reading() noexcept;

 private:
  enum class Phase : std::uint8_t {
    serving,
    closing,    // what is to be sent is all there
    lingering,  // the client is sent the end, and has not ended himself: a close would be a reset
  };
  enum class Sent : std::uint8_t { whole, in_part, never };

  void handle(std::string_view bytes);
  Sent send_rest();

  ServerState& server_;
  CountActive active_;
  UniqueFd socket_;
  ByteHandler handler_;
  std::string client_;
  std::string unsent_;
  std::size_t sent_ = 0;  // of it
  Phase phase_ = Phase::serving;
  bool has_ended_ = false;  // what the client sends
  bool moved_ = false;
};

}  // namespace procpool::models::detail
