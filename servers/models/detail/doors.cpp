#include "servers/models/detail/doors.hpp"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <thread>
#include <utility>

#include "ipc/base/error.hpp"

namespace procpool::models::detail {
namespace {

using namespace std::chrono_literals;

constexpr auto kPauseBetweenAttempts = 10ms;

net::Listener listen_on(const net::Address& address, Deadline patience) {
  for (;;) {
    try {
      return net::Listener::open(address);
    } catch (const Error& error) {
      if (error.code() != std::errc::address_in_use || patience.expired()) throw;
    }
    std::this_thread::sleep_for(kPauseBetweenAttempts);  // no event tells when it is free
  }
}

// All of one group, or one. Port 0 may be asked for twice, and stands for two.
std::deque<net::Listener> take_inherited(Inheritance& inheritance, const net::Address& asked) {
  std::deque<net::Listener> found;
  auto& sockets = inheritance.sockets;
  for (auto socket = sockets.begin(); socket != sockets.end();) {
    const net::Listener& listener = socket->listener;
    const bool of_group = found.empty() || listener.address() == found.front().address();
    if (socket->asked == asked && listener.has_its_name() && of_group) {
      found.push_back(std::move(socket->listener));
      socket = sockets.erase(socket);
    } else {
      ++socket;
    }
  }
  return found;
}

// `taken`: a list may ask for an address twice.
std::shared_ptr<Door> open_door(const net::Address& address, const DoorList& taken,
                                const DoorSources& sources) {
  const auto fits = [&](const std::shared_ptr<Door>& door) {
    return door->asked == address && door->has_its_name() && !std::ranges::count(taken, door);
  };
  const auto open_already = std::ranges::find_if(sources.open_already, fits);
  if (open_already != sources.open_already.end()) return *open_already;

  auto door = std::make_shared<Door>(
      Door{.asked = address, .sockets = take_inherited(sources.inheritance, address)});
  if (door->sockets.empty()) door->sockets.push_back(listen_on(address, sources.patience));
  return door;
}

}  // namespace

DoorList open_doors(const std::vector<net::Address>& addresses, const DoorSources& sources) {
  DoorList doors;
  doors.reserve(addresses.size());
  for (const net::Address& address : addresses) {
    const auto& door = doors.emplace_back(open_door(address, doors, sources));
    while (!address.is_unix() && door->sockets.size() < sources.sockets_each)
      door->sockets.push_back(door->sockets.front().open_beside());
  }
  return doors;
}

void close_doors(const DoorList& doors, const DoorList& stays) {
  for (const auto& door : doors) {
    if (std::ranges::count(stays, door) != 0) continue;
    for (net::Listener& socket : door->sockets) socket.close();
  }
}

std::vector<net::Address> addresses_of(const DoorList& doors) {
  std::vector<net::Address> addresses;
  addresses.reserve(doors.size());
  for (const auto& door : doors) addresses.push_back(door->address());
  return addresses;
}

std::vector<Estate::Socket> estate_of(const DoorList& doors) {
  std::vector<Estate::Socket> sockets;
  for (const auto& door : doors) {
    for (const net::Listener& socket : door->sockets) {
      if (socket.is_listening()) sockets.push_back({door->asked, socket.fd()});
    }
  }
  return sockets;
}

void disown_names(const DoorList& doors) {
  for (const auto& door : doors) {
    for (net::Listener& socket : door->sockets) socket.disown_name();
  }
}

void take_possession(const DoorList& doors, Inheritance& rest) {
  for (const auto& door : doors) {
    for (net::Listener& socket : door->sockets) socket.own_name();
  }
  for (Inheritance::Socket& socket : rest.sockets) socket.listener.own_name();
  rest.sockets.clear();
}

}  // namespace procpool::models::detail
