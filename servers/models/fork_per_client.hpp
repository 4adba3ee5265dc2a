// The server with a process for each client: a master that accepts, and sessions.
//
//   SessionService service{.listen = {net::Address::parse("127.0.0.1:7")}};
//   service.handler = echo;
//   service.make_logger = [] { return models::make_error_log("echo", "-"); };
//   models::ForkPerClient master{service, {.reload = [&] { return service; }}};
//   return master.run();                                  // until it is told to stop
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <spdlog/logger.h>

#include "ipc/base/loop.hpp"
#include "ipc/base/unique_fd.hpp"
#include "ipc/channel.hpp"
#include "ipc/shared.hpp"
#include "proc/credentials.hpp"
#include "proc/process.hpp"
#include "proc/signal_action.hpp"
#include "proc/signal_source.hpp"
#include "servers/models/hooks.hpp"
#include "servers/models/inheritance.hpp"
#include "servers/models/session.hpp"
#include "servers/models/session_board.hpp"
#include "servers/net/address.hpp"
#include "servers/net/listener.hpp"

namespace procpool::models {

namespace detail {
class ManagerLine;
class PackedHeap;
class Succession;
struct Door;
}  // namespace detail

// What new sessions run with. A value: a reload makes a new one.
struct SessionService {
  std::vector<net::Address> listen{};
  unsigned max_sessions = 2000;  // at once; at most SessionBoard::kSlots
  unsigned max_sessions_per_address = 50;
  unsigned spare_sessions = 0;  // forked ahead, each waiting for a client
  std::chrono::milliseconds graceful_timeout{30'000};

  // Who is one too many is sent these bytes, and not served; no process is made for him.
  std::string full{};
  std::string too_many_from_there{};

  std::optional<proc::Credentials> run_as{};  // the sessions; the master stays what it is
  SessionHandler handler{};

  // A logger of their own for the master and each session, writing to where this service wants it.
  // Throws Error.
  std::function<std::shared_ptr<spdlog::logger>()> make_logger{};

  // Run in the master before the service begins, and at USR1: so that the files exist and the
  // sessions may write them, whoever they run as. Throws Error.
  std::function<void()> prepare_logs{};
};

// The master. It accepts, counts, and forks a session for each client whom the limits admit. It
// never reads from a connection, so nothing that a client sends reaches it. Where sessions are
// forked ahead a client waits for no fork: he is handed to one of them, and the master keeps his
// connection until that one has said that it has it; if it dies before, another one gets him. They
// count when they have a client. A session that ends,
// however it does, frees its place at once; if the master dies, its sessions are killed.
//
// Signals: HUP reload: new sessions have the new service, those that run finish with theirs; TERM
// and QUIT stop gracefully (a second one, or INT: at once), USR1 reopen logs, USR2 upgrade, WINCH
// end the sessions and accept nobody (HUP begins again). As PID 1 it reaps adopted orphans.
//
// An upgrade starts another program, which gets the listening sockets and the board. When it
// serves, this master accepts nobody any more, and ends with its last session, however long that
// lasts; the limits count the sessions of both. If the other one ends, declines or is not ready
// within a minute, nothing has changed. As process 1 it executes the other program in place, when
// NextProgram::trial has gone well: the sessions stay this process's children; if the other program
// declines, this one is executed again.
class ForkPerClient {
 public:
  using Board = ipc::Shared<SessionBoard>;

  // What it does not inherit, it opens. The predecessor, if there is one, outlives this object.
  ForkPerClient(SessionService service, Hooks<SessionService> hooks, Board board = {},
                Inheritance inheritance = {}, Predecessor* predecessor = nullptr);
  ~ForkPerClient();

  // Listens and serves until it is told to stop. Returns the exit code. Throws Error when it cannot
  // listen. Call it once, in a process without other threads.
  int run();

 private:
  enum class Phase { serving, leaving, stopping };

  // A connection on its way to a session that was forked ahead. Owns a copy of it.
  struct Handover {
    UniqueFd connection;
    ipc::Channel channel;
    std::unique_ptr<Loop::Watch> watch;
  };

  // A session of this master, or one of a master before: then there is no process to reap.
  struct Child {
    std::size_t slot;
    std::string client;
    ProcessId id;
    std::optional<proc::Process> process;
    UniqueFd pidfd;  // of one that is not ours
    std::unique_ptr<Loop::Watch> watch;
    std::optional<Handover> handover{};
    bool told_to_end = false;
  };

  struct Spare {
    std::size_t slot;
    proc::Process process;
    ipc::Channel channel;
    std::unique_ptr<Loop::Watch> watch;
  };

  struct Cycle;  // a service with its doors

  void obey(const proc::SignalInfo& signal);
  std::unique_ptr<Cycle> open(SessionService service);
  void use(std::unique_ptr<Cycle> next);
  void watch_doors();
  void pause();
  void pause_for_lack();
  void accept_from(const net::Listener& socket);
  void admit(UniqueFd connection);
  void serve(UniqueFd connection, std::string client);
  void begin_session(UniqueFd connection, std::string client);
  int be_session(SessionSlot& slot, const std::string& client, UniqueFd connection);
  proc::Process fork_session(int fd, const std::function<int()>& body);
  std::list<Child>::iterator add_session(std::size_t slot, std::string client,
                                         proc::Process process);
  bool hand_over(UniqueFd& connection, const std::string& client);
  void keep_spares();
  void begin_spare(std::size_t slot);
  void end_of(std::list<Spare>::iterator spare);
  void dismiss_spares();
  void adopt_sessions();
  void watch(std::list<Child>::iterator child);
  void relieve_predecessor();
  void end_of(std::list<Child>::iterator child);
  bool collect(pid_t pid);
  std::optional<std::size_t> claim_slot();

  void reload();
  void finish_reload(const std::string& problem);
  void upgrade();
  void upgrade_has_failed(const std::string& problem);
  void leave_to_successor(pid_t successor);
  void finish_upgrade_in_place(const std::string& problem);
  void reopen_logs();
  void open_log();
  void signal_sessions(int signal_number);
  void end_sessions(int signal_number, Deadline patience);
  void lose_patience();
  void leave_work();
  void stop_gracefully();
  void stop_now();
  void begin_to_stop();
  bool has_own_sessions() const;

  proc::ScopedSignalAction no_sigpipe_;  // whoever reads the logs may leave
  Hooks<SessionService> hooks_;
  Board board_;
  Inheritance inheritance_;
  Predecessor* predecessor_;
  Loop loop_;
  std::unique_ptr<Cycle> current_;
  std::unique_ptr<detail::PackedHeap> heap_;
  std::shared_ptr<spdlog::logger> log_;
  Phase phase_ = Phase::serving;
  bool reload_again_ = false;  // a HUP came while a successor was starting
  std::optional<Loop::Watch> predecessor_watch_;
  std::list<Loop::Watch> door_watches_;
  std::list<Child> children_;
  std::list<Spare> spares_;
  std::map<std::string, unsigned> by_client_;
  std::size_t next_slot_ = 0;  // where the search for a free one begins
  int next_signal_ = SIGKILL;  // for those who were told to end and have not
  Loop::Timer patience_;       // with sessions that were told to end
  Loop::Timer look_again_;     // at the doors, after a shortage
  Loop::Timer refill_;         // the spare sessions
  std::unique_ptr<detail::ManagerLine> manager_;
  std::unique_ptr<detail::Succession> succession_;
  proc::SignalSource signals_;
};

}  // namespace procpool::models
