// What a user asks for, in one line or at the prompt: each of these is a command.
//
//   Client client{options, interrupts};
//   client.open(parse_url("ftp://host/pub"));
//   client.get("pub/a", "a");
//   client.mirror("pub", "copy");
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/ftp/crew.hpp"
#include "tools/ftp/mirror.hpp"
#include "tools/ftp/progress.hpp"
#include "tools/ftp/session.hpp"
#include "tools/ftp/url.hpp"
#include "tools/ftp/waiting.hpp"

namespace procpool::ftp_client {

struct ClientOptions {
  SessionOptions session{};
  std::string user{};   // NAME or NAME:PASSWORD; empty: from the URL, the netrc, or anonymous
  std::string netrc{};  // empty: ~/.netrc, if there is one
  int parallel = 1;     // transfers at once, where there are several
  bool resume = false;
  bool quiet = false;
};

// Who logs in where: from the URL, --user, the netrc, and at last from the terminal, which is asked
// for a password that nobody has said. Throws Failure.
Login login_for(const Url& url, const ClientOptions& options, Interrupts& interrupts);

// Files of this machine are found from the working directory. Throws Failure, Error.
class Client {
 public:
  Client(ClientOptions options, Interrupts& interrupts);

  void open(const Url& url) { open(url, options_); }  // its host: the path is the caller's
  void open(const Url& url, const ClientOptions& options);
  void close() noexcept;
  bool is_open() const noexcept { return session_.has_value(); }
  Session& session();  // throws Failure: not connected
  ClientOptions& options() noexcept { return options_; }

  void get(const std::string& remote, std::string local, bool resume);  // local "": the same name
  void put(const std::string& local, std::string remote, bool resume);  // remote "": the same
  void get_matching(const std::vector<std::string>& patterns, const std::string& folder);
  void put_several(const std::vector<std::string>& files);
  void mirror(const std::string& remote, const std::string& local);
  void mirror_back(const std::string& local, const std::string& remote);
  void cat(const std::string& remote);
  void list(const std::string& path);

  void say(std::string_view line) { display_.say(line); }

 private:
  void run(const Order& order);
  void carry_out(Plan plan, Direction direction, const std::string& folder);
  void get_into_special_file(const std::string& remote, const std::string& local);

  ClientOptions options_;
  Interrupts& interrupts_;
  ProgressDisplay display_;
  std::optional<Session> session_;
};

}  // namespace procpool::ftp_client
