// What a master leaves to the program that succeeds it: its sockets, and what it has counted.
//
//   Successor next{argv, environment, inheritance};   // the old master: starts the program
//   auto old = Predecessor::of_this_process();        // there, at the top of main
//   if (old) inheritance = old->take();
//   ... serves ...  old->relieve();                   // the old master's next.await() hears of it
//
// Process 1 has no place for another one: there the next program is executed in place, and finds
// what it inherits in the same way.
//
//   execute_successor(next, inheritance);
#pragma once

#include <cstdint>
#include <ctime>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ipc/base/deadline.hpp"
#include "ipc/base/process_id.hpp"
#include "ipc/base/unique_fd.hpp"
#include "ipc/channel.hpp"
#include "proc/latency_histogram.hpp"
#include "proc/offspring.hpp"
#include "servers/net/address.hpp"
#include "servers/net/listener.hpp"

namespace procpool::models {

// What the workers have done so far, of all masters.
struct Totals {
  std::time_t started = 0;
  std::uint64_t requests = 0;
  std::uint64_t bytes = 0;
  std::uint64_t restarts = 0;
  std::uint64_t reloads = 0;
  proc::LatencyCounts latency{};
};

// Owns what a master begins with instead of making it. A value to move.
struct Inheritance {
  struct Socket {
    net::Address asked;  // as the configuration has it: port 0 may stand for the socket's own
    net::Listener listener;
  };
  std::vector<Socket> sockets{};
  std::optional<ipc::ChannelPair> handed_over{};  // idle connections on their way between workers
  UniqueFd board{};                               // shared memory that shows what is served
  UniqueFd pid_file{};                            // the open file that holds the lock
  std::map<std::string, UniqueFd> memory{};       // what the program itself shares, by its names
  Totals totals{};

  // Only of a program that was executed in place: the workers that this process has already.
  std::optional<proc::Offspring> offspring{};

  // Only of one that is executed again, because the program after it gave up: why, and the
  // configuration that it had.
  std::string problem{};
  std::string configuration{};
};

// The program that USR2 starts: this one's successor.
struct NextProgram {
  std::vector<std::string> argv{};
  std::vector<std::string> environment{};
  int pid_file = -1;  // lent: the descriptor that holds the lock; -1: there is none
  std::map<std::string, int> memory{};  // lent: memory that the program shares, by names of its own

  // For process 1: what finds out whether the program would start, and says why not on its standard
  // error (empty: that is not tried); and the text of the configuration that is in use, for the
  // case that it does not start after all.
  std::vector<std::string> trial{};
  std::string configuration{};
};

// What a successor is sent; lent.
struct Estate {
  struct Socket {
    net::Address asked;
    int fd;
  };
  std::vector<Socket> sockets{};
  const ipc::ChannelPair* handed_over = nullptr;  // null: none
  int board = -1;                                 // -1: none
  int pid_file = -1;
  std::map<std::string, int> memory{};
  Totals totals{};
  std::optional<proc::Offspring> offspring{};  // in place only
};

// The old master's side, in process 1: the next program replaces this one, which waits in it for
// the case that it declines. The workers, the signals that are blocked and what waits for them
// stay. Throws Error: it cannot be executed, and nothing has changed.
[[noreturn]] void execute_successor(const NextProgram& next, const Estate& estate);

// The old master's side. The program is started detached, with the environment and one descriptor
// more; it may be another version of this one: what it is sent are lines of text, of which it
// passes over those that it does not know. For one thread. Destroyed, the successor goes on alone.
class Successor {
 public:
  // Throws Error: the program cannot be started.
  Successor(const std::vector<std::string>& argv, std::vector<std::string> environment,
            const Estate& estate);

  pid_t pid() const noexcept { return process_.pid; }
  int fd() const noexcept { return channel_.fd(); }  // readable when it has something to say

  enum class Outcome { pending, relieved, failed };
  // What it says: never blocks. It has failed also when it has ended without a word.
  Outcome step();
  const std::string& problem() const noexcept { return problem_; }  // why it has failed

  void signal(int signal_number) const;  // nothing, if it has ended

 private:
  ipc::Channel channel_;
  ProcessId process_;
  UniqueFd pidfd_;
  std::string problem_;
};

// The new master's side. For one thread; after fork of no use. Executed in place, this program is
// its own predecessor's process.
class Predecessor {
 public:
  // Set in this process's environment by the old master, and removed from there. Nullopt: it was
  // started by somebody else. Throws Error: the variable makes no sense.
  static std::optional<Predecessor> of_this_process();

  bool is_this_process() const noexcept { return again_.has_value(); }  // executed in place

  // Everything, once. The names of Unix sockets stay the old master's until relieve(). Throws
  // Error: it ended half-way, or sends what cannot be meant.
  Inheritance take();

  // From here on the old master only drains. False: it is gone already, which is as good; it always
  // is where it was this process.
  bool relieve();

  int fd() const noexcept { return channel_.fd(); }  // after relieve(), readable: it does

  // This process will not take over, and why. Executed in place, it executes the old program again,
  // with the same inheritance and the workers that there are now, and does not return; unless it is
  // the old program itself that declines, or that cannot be executed.
  void decline(std::string_view problem, std::optional<proc::Offspring> offspring = {});

 private:
  struct Message {
    std::string text;
    std::vector<UniqueFd> descriptors;
  };

  explicit Predecessor(ipc::Channel channel, std::optional<ipc::Channel> again = {}) noexcept
      : channel_{std::move(channel)}, again_{std::move(again)} {}
  std::vector<Message> receive_all();
  void keep(const std::vector<Message>& messages);

  ipc::Channel channel_;
  std::optional<ipc::Channel> again_;  // the other side, if this process has it
};

}  // namespace procpool::models
