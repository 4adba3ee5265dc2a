// Sockets as the kernel gives them, which block, and the events that a demonstration waits for.
//
//   auto [client, server] = tcp_pair();              // connected over loopback
//   send_all(client.fd(), "hello");
//   await_bytes(server.fd(), 5);                     // all of it has arrived
//   receive(server.fd(), 100);                       // one recv(2): "hello"
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "ipc/base/unique_fd.hpp"
#include "servers/net/address.hpp"

namespace procpool::server_demo {

inline constexpr std::chrono::seconds kPatience{20};

inline net::Address any_loopback_port() {
  return net::Address::parse("127.0.0.1:0");
}

// socket(2), close-on-exec, blocking. Throws Error.
UniqueFd open_socket(int family, int type, int protocol = 0);

// A TCP socket that listens on loopback, at a port that the kernel chooses. Throws Error.
UniqueFd listen_on_loopback(int backlog = 16);

UniqueFd connect_to(const net::Address& address);  // TCP; throws Error
UniqueFd accept_from(int listener);                // blocks; throws Error

struct Ends {
  UniqueFd client;
  UniqueFd server;
};
Ends tcp_pair();

void send_all(int socket, std::string_view bytes);  // throws Error

// What one recv(2) of at most so many bytes brings; empty: the end. Throws Error.
std::string receive(int socket, std::size_t most);

// errno of the last call, if it failed; 0: it did not.
int error_of(long result);

// Blocks until a TCP socket has so many unread bytes. Throws Error (ETIMEDOUT).
void await_bytes(int socket, int bytes);

int unread_bytes(int socket);  // FIONREAD
int unsent_bytes(int socket);  // SIOCOUTQ: not acknowledged yet

// Looks again and again until it is so, for what no event tells of. Throws Error (ETIMEDOUT).
void await(std::string_view what, const std::function<bool()>& is_so);

}  // namespace procpool::server_demo
