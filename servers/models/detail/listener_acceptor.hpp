// Accepts from listeners for which siblings may wait too.
//
//   ListenerAcceptor acceptor{doors, loop, intake, choose_all};
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "ipc/base/loop.hpp"
#include "servers/models/detail/acceptor.hpp"
#include "servers/models/detail/distributor.hpp"
#include "servers/models/detail/intake.hpp"
#include "servers/net/listener.hpp"

namespace procpool::models::detail {

// Of the sockets of one address, so many, the numbers of those to wait for. Asked at each open().
using ChooseSockets = std::function<std::vector<std::size_t>(std::size_t)>;

// Waits for what it is told to choose. One of those that wait for a socket is woken for a
// connection.
class ListenerAcceptor final : public Acceptor {
 public:
  ListenerAcceptor(Doors doors, Loop& loop, Intake& intake, ChooseSockets choose)
      : doors_{std::move(doors)}, loop_{loop}, intake_{intake}, choose_{std::move(choose)} {}

  void open() override;
  void close() override { watches_.clear(); }
  void step_aside() override;

 private:
  std::vector<net::Listener*> chosen() const;

  Doors doors_;
  Loop& loop_;
  Intake& intake_;
  ChooseSockets choose_;
  std::vector<std::unique_ptr<Loop::Watch>> watches_;
};

// Those that listen already: a socket of a group is opened before it is needed.
std::vector<net::Listener*> listening(const std::vector<net::Listener*>& sockets);

}  // namespace procpool::models::detail
