// A login at a server, and what can be done there.
//
//   Session session{{.host = "host", .user = "ada", .password = "secret"}, {}, &interrupts};
//   for (const Entry& entry : session.list("/pub")) show(entry);
//   session.retrieve("/pub/a", 0, [&](std::string_view bytes) { out << bytes; });
#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tools/ftp/control.hpp"
#include "tools/ftp/data_channel.hpp"
#include "tools/ftp/listing.hpp"

namespace procpool::ftp_client {

struct Login {
  std::string host{};
  std::string port = "21";
  std::string user = "anonymous";
  std::string password = "anonymous@";
  std::string account{};
};

struct SessionOptions {
  DataMode data_mode = DataMode::automatic;
  std::chrono::milliseconds timeout{30'000};
  std::uint64_t most_per_second = 0;  // bytes of a transfer; 0: as fast as it goes
  bool text = false;                  // TYPE A: lines end here with LF, there with CR LF
  bool verbose = false;               // the dialogue goes to standard error
};

// Paths are the server's, from directory() where they do not begin with '/'. Each call throws
// Refused when the server says no, and another Failure when the connection is lost: the next call
// then connects, and logs in, anew. For one thread; a child of fork has no use for it.
class Session {
 public:
  // Connects and logs in. Throws Failure: no_connection, login_refused ...
  Session(Login login, const SessionOptions& options, Interrupts* interrupts);

  const Login& login() const noexcept { return login_; }
  const SessionOptions& options() const noexcept { return options_; }
  void set_data_mode(DataMode mode);
  void set_text(bool text) { options_.text = text; }
  bool has(const std::string& feature) const { return features_.contains(feature); }  // "MLST"

  const std::string& directory() const noexcept { return directory_; }
  void change_directory(const std::string& path);
  std::string absolute(std::string_view path) const;

  // At most kMostOfListing bytes of it. A file has itself as its only entry.
  std::vector<Entry> list(const std::string& path);
  static constexpr std::size_t kMostOfListing = std::size_t{64} << 20U;

  // Nullopt: there is no such file, or the server does not know the command.
  std::optional<std::uint64_t> size(const std::string& path);
  std::optional<std::time_t> modified(const std::string& path);

  void make_directory(const std::string& path);
  void remove_directory(const std::string& path);
  void remove(const std::string& path);
  void rename(const std::string& from, const std::string& to);
  void change_mode(const std::string& mode, const std::string& path);  // octal digits
  bool set_modified(const std::string& path, std::time_t time);        // false: it cannot
  Reply quote(const std::string& line);

  // Gives the file's bytes, from an offset on, piece by piece. What the sink throws ends the
  // transfer (ABOR), and leaves this; so does an interruption.
  using Sink = std::function<void(std::string_view bytes)>;
  void retrieve(const std::string& path, std::uint64_t offset, const Sink& sink);

  // Takes what the source puts into the buffer, until that is nothing. Whether all of it arrived is
  // known by size() only.
  using Source = std::function<std::size_t(char* buffer, std::size_t size)>;
  enum class Store { whole, append };
  void store(const std::string& path, Store how, const Source& source);

  void quit() noexcept;  // politely, and without waiting for long

 private:
  class Pace;
  using Move = std::function<void(int data, Pace& pace)>;

  void ensure_connected();  // first in each call: what follows goes over one connection
  void connect();
  void greet();
  void log_in();
  void learn_features();
  void set_type(char type);
  Reply ask(const std::string& line);
  void command(std::string_view operation, const std::string& line, const std::string& object);
  void transfer(std::string_view operation, const std::string& line, const std::string& path,
                std::uint64_t offset, const Move& move);
  void send_all(int data, Pace& pace, std::string_view bytes, const std::string& path);
  void begin(std::string_view operation, const std::string& line, const std::string& path);
  void abort() noexcept;
  std::string fetch_text(std::string_view operation, const std::string& line,
                         const std::string& path);
  std::vector<Entry> list_by_mlsd(const std::string& path);
  std::vector<Entry> list_by_list(const std::string& path);
  std::vector<Entry> list_here(const std::string& path);
  std::vector<Entry> list_file(const std::string& path);

  Login login_;
  SessionOptions options_;
  Waiting waiting_;
  std::optional<Control> control_;
  DataAgreement agreement_;
  std::set<std::string> features_;
  std::string directory_;
  char type_ = 'A';  // RFC 959 §5.1: so it begins
};

}  // namespace procpool::ftp_client
