// How a loop comes by its connections, and when it takes none.
//
//   Reception reception{loop, server, {{&listener}}, {.begin = serve, .room = room}};
//   while (...) { loop.run_once(Deadline::never()); reception.end_turn(); }
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "ipc/base/loop.hpp"
#include "ipc/base/unique_fd.hpp"
#include "servers/models/detail/acceptor.hpp"
#include "servers/models/detail/distributor.hpp"
#include "servers/models/detail/intake.hpp"
#include "servers/models/detail/server_state.hpp"

namespace procpool::models::detail {

using MakeAcceptor = std::function<std::unique_ptr<Acceptor>(Loop&, Intake&)>;

// Of the loop's thread. The listeners are lent; others may accept from them too, if the acceptor
// knows how.
class Reception {
 public:
  struct Uses {
    std::function<void(UniqueFd)> begin;  // serves a connection. Must not throw
    std::function<std::size_t()> room;    // how many more may begin
  };

  // Without an acceptor all listeners are this loop's alone.
  Reception(Loop& loop, ServerState& server, Doors doors, Uses uses,
            const MakeAcceptor& make_acceptor = {});

  void open();
  void end_turn();  // after each turn of the loop: there may be room again, or none any more
  void pause();     // takes nobody for a moment

  // For good: takes those who wait, as far as there is room, and closes the doors to itself. The
  // listeners are not used any more.
  void close();

 private:
  Doors doors_;
  Uses uses_;
  Intake intake_;
  std::unique_ptr<Acceptor> acceptor_;
  Loop::Timer look_again_;
  bool accepting_ = false;
  bool closed_ = false;
};

}  // namespace procpool::models::detail
