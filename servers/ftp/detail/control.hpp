// The state of an FTP session, and its commands: the member functions lie in ftp/control.cpp (the
// conversation, and who takes part in it), detail/control_files.cpp and
// detail/control_transfers.cpp.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ipc/base/deadline.hpp"
#include "ipc/base/loop.hpp"
#include "servers/ftp/command.hpp"
#include "servers/ftp/data_link.hpp"
#include "servers/ftp/detail/admission.hpp"
#include "servers/ftp/file_tree.hpp"
#include "servers/ftp/guest.hpp"
#include "servers/ftp/listing.hpp"
#include "servers/ftp/path.hpp"
#include "servers/ftp/quota.hpp"
#include "servers/ftp/reply.hpp"
#include "servers/ftp/settings.hpp"
#include "servers/ftp/transfer.hpp"
#include "servers/ftp/transfer_log.hpp"
#include "servers/ftp/users.hpp"
#include "servers/models/session.hpp"
#include "servers/net/address.hpp"
#include "servers/net/interrupt.hpp"
#include "servers/net/stream.hpp"
#include "servers/net/task.hpp"

namespace procpool::ftp::detail {

// A transfer, or a listing, that runs beside the control connection.
struct RunningTransfer {
  std::string verb;
  std::string file;
  std::string end;  // what is told at the end; empty: it runs
  std::optional<DataLink> link{};
  Deadline::Clock::time_point began = Deadline::Clock::now();
  net::TaskGroup task{[](const std::exception_ptr&) {}};  // its body reports by itself
};

class Control {
 public:
  static constexpr std::size_t kMostUnsent = std::size_t{64} << 10;  // bytes that nobody reads

  // With a login line: reads what somebody says who is to be served by another process,
  // detail/admission.hpp.
  Control(models::Session& session, net::Stream stream, SettingsPtr settings, int login_line = -1);

  void greet();
  net::Task<> converse();                           // from the greeting on
  net::Task<> run_for(const Admission& admission);  // who was greeted by another process

 private:
  using Body = std::function<net::Task<std::string>(net::Stream&)>;

  enum class Needs { nothing, login, write };
  enum class Argument { none, optional, required };
  struct Verb {
    std::string_view name;
    void (Control::*handler)(const std::string& argument);
    Argument argument = Argument::none;
    Needs needs = Needs::login;
    bool at_once = false;  // also in a transfer
  };
  static const Verb kVerbs[];
  static const Verb* find(std::string_view name);

  // The conversation.
  std::span<char> part_to_read(std::span<char> buffer) const;
  void say(const std::string& text);
  void say_now(const std::string& text);
  void say_opening(const std::string& opening);
  net::Task<bool> send_replies();
  Deadline patience() const;
  void take(const std::string& line);
  void show(const std::string& doing);
  void execute(const Verb& verb, const Command& command);
  void finish_transfer();
  bool logged_in() const noexcept { return tree_.has_value(); }

  // Files.
  std::string path(const std::string& argument) const { return resolve(directory_, argument); }
  void tell_of_file(int error, const std::string& argument);
  void simple(int error, const std::string& argument, int code, std::string_view done);

  // Transfers.
  bool may_transfer();
  void begin(std::string verb, std::string file, std::uint64_t size, std::string opening,
             Body body);
  net::Task<> run_transfer(std::string opening, Body body);
  TransferRules rules() const;
  net::Task<TransferResult> receive(net::Stream& data, int file, const Room& room) const;
  std::string end_of(const TransferResult& result) const;
  void log_transfer(const RunningTransfer& transfer, bool complete);
  void list(const std::string& argument, bool names_only);
  void store(const std::string& name, bool as_new);
  void sweep(const std::string& directory);
  bool may_keep_more(const std::string& file, std::uint64_t offset);
  std::string shown_quota() const;
  void store_in_place(const std::string& file, off_t offset, std::string verb);
  DirectoryReader open_directory(const std::string& file) const;

  // The commands.
  void user(const std::string& name);
  void pass(const std::string& password);
  void ask_for_login(const std::string& name, const std::string& password);
  void log_in(const Guest& guest);
  void refuse_login();
  void rein(const std::string&);
  void quit(const std::string&);
  void noop(const std::string&) { say(reply(200, "Nothing done.")); }
  void syst(const std::string&) { say(reply(215, "UNIX Type: L8")); }
  void help(const std::string&);
  void feat(const std::string&);
  void opts(const std::string& argument);
  void host(const std::string&);
  void unimplemented(const std::string&) { say(reply(502, "Not implemented.")); }

  // RFC 2228 §3
  void unprotected(const std::string&) { say(reply(503, "Nothing protects this connection.")); }

  void pwd(const std::string&);
  void cwd(const std::string& argument);
  void cdup(const std::string&) { cwd(".."); }
  void mkd(const std::string& argument);
  void rmd(const std::string& argument);
  void dele(const std::string& argument);
  void rnfr(const std::string& argument);
  void rnto(const std::string& argument);
  void size(const std::string& argument);
  void mdtm(const std::string& argument);
  void mfmt(const std::string& argument);
  void mlst(const std::string& argument);
  void site(const std::string& argument);

  void type(const std::string& argument);
  void stru(const std::string& argument);
  void mode(const std::string& argument);
  void allo(const std::string& argument);
  void rest(const std::string& argument);
  void pasv(const std::string&);
  void epsv(const std::string& argument);
  void port(const std::string& argument);
  void eprt(const std::string& argument);
  void go_active(const std::optional<net::Address>& target);

  void retr(const std::string& argument);
  void stor(const std::string& argument);
  void stou(const std::string& argument);
  void appe(const std::string& argument);
  void list(const std::string& argument) { list(argument, false); }
  void nlst(const std::string& argument) { list(argument, true); }
  void mlsd(const std::string& argument);
  void stat(const std::string& argument);
  void abor(const std::string&);

  // Wakes the conversation: the server stops.
  struct StopRelay : net::Interrupt::Waiter {
    explicit StopRelay(Control& to_tell) : control{to_tell} {}
    void interrupted() override { control.wake_->raise(); }
    Control& control;
  };

  models::Session& session_;
  net::Stream stream_;
  SettingsPtr settings_;
  net::Address local_;
  std::shared_ptr<TransferLog> log_;
  int login_line_;  // -1: none
  CommandReader reader_;
  std::deque<Command> waiting_;
  std::string unsent_;
  std::optional<net::Interrupt> wake_;
  Loop::Timer wake_timer_;
  StopRelay stop_relay_;
  bool closing_ = false;
  Deadline login_deadline_;

  std::optional<std::string> user_name_;  // of USER
  bool anonymous_ = false;
  User user_;
  unsigned failures_ = 0;
  std::optional<FileTree> tree_;  // while somebody is logged in
  Quota quota_;
  std::string swept_;  // the directory that was looked through last
  std::string directory_ = "/";

  bool as_text_ = true;  // TYPE A is the default, RFC 959 §5.1
  bool epsv_only_ = false;
  std::uint64_t restart_ = 0;
  std::optional<std::string> rename_from_;
  FactSet facts_ = kAllFacts;
  bool in_command_ = false;  // which begins a transfer
  mode_t umask_;
  std::chrono::milliseconds idle_timeout_;
  std::optional<DataLink> link_;
  std::optional<RunningTransfer> transfer_;
};

// The whole of a session, or with a login line what comes before somebody is let in.
net::Task<> converse(models::Session& session, net::Stream stream, SettingsPtr settings,
                     int login_line = -1);

}  // namespace procpool::ftp::detail
