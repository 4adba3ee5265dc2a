// How a worker comes by its connections: the worker's side of an accept strategy.
//
//   std::unique_ptr<Acceptor> acceptor = distributor.make_acceptor(slot, doors, loop, intake);
//   acceptor->open();
#pragma once

namespace procpool::models::detail {

// Gives connections to the Intake, from the worker's loop. Of the worker's one thread.
class Acceptor {
 public:
  virtual ~Acceptor() = default;

  // From now on it takes connections, at first those that wait already. If it does so already, it
  // looks anew: others may have been woken for a connection and died.
  virtual void open() = 0;

  virtual void close() = 0;  // it takes none until open(), and leaves them to its siblings

  // The same for a worker that has no room, and takes what it alone may have been woken for.
  virtual void step_aside() { close(); }

  virtual void drain() { close(); }  // it takes only what nobody else can take
};

}  // namespace procpool::models::detail
