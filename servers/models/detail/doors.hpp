// The listening sockets of a master, over reloads and upgrades.
//
//   DoorList doors = open_doors(addresses, {.sockets_each = 1, .open_already = old_doors, ...});
//   listen and serve ...
//   close_doors(old_doors, doors);                   // those that only the old ones had
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

#include "ipc/base/deadline.hpp"
#include "servers/models/inheritance.hpp"
#include "servers/net/address.hpp"
#include "servers/net/listener.hpp"

namespace procpool::models::detail {

// What was asked for, and the sockets that listen there: the two differ when the kernel chose the
// port.
struct Door {
  net::Address asked;
  std::deque<net::Listener> sockets;  // which stay where they are

  const net::Address& address() const { return sockets.front().address(); }
  bool has_its_name() const { return sockets.front().has_its_name(); }
};

// One for each address. A door that two lists have is the same door.
using DoorList = std::vector<std::shared_ptr<Door>>;

struct DoorSources {
  const DoorList& open_already;  // what is asked for again is not opened again
  Inheritance& inheritance;      // what is asked for is taken from there
  Deadline patience;             // with a dead server's children, that hold an address for a moment
  std::size_t sockets_each = 1;  // TCP only: more are bound and do not listen yet
};

// Throws Error, and has changed nothing of the doors that are open already.
DoorList open_doors(const std::vector<net::Address>& addresses, const DoorSources& sources);

// Those that `stays` does not have.
void close_doors(const DoorList& doors, const DoorList& stays = {});

std::vector<net::Address> addresses_of(const DoorList& doors);

// What a successor gets. The names of Unix sockets stay this process's until they are disowned.
std::vector<Estate::Socket> estate_of(const DoorList& doors);
void disown_names(const DoorList& doors);

// The last step of an upgrade, in the new master: what was inherited is its own from here on, and
// what it has no use for goes.
void take_possession(const DoorList& doors, Inheritance& rest);

}  // namespace procpool::models::detail
