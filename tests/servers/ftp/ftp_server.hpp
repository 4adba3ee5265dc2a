// An FTP server for one test, and a client that says what it is told to say.
//
//   FtpServer server;                                   // serves server.root() to "ada" / "secret"
//   FtpClient client{server};
//   EXPECT_EQ(client.ask("USER ada"), "331 Password, please.");
//   client.log_in();
//   EXPECT_EQ(client.get("a"), "content");
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/shared.hpp"
#include "proc/signal_action.hpp"
#include "servers/ftp/control.hpp"
#include "servers/models/error_log.hpp"
#include "servers/models/fork_per_client.hpp"
#include "servers/models/log_file.hpp"
#include "servers/models/sandbox.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::test {

// Of "secret", by a method that takes no time: crypt(5), sha256crypt, with the fewest rounds.
inline constexpr auto kHashOfSecret =
    "$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2";

// A ForkPerClient with the FTP protocol in a process of its own, which ends with the test. "ada"
// may write, "bob" may read. Sessions are in their sandbox, where there is one. Of `service` what
// is not the server's own counts: limits, and whom the sessions run as.
class FtpServer {
 public:
  using Change = std::function<void(ftp::Settings&)>;
  explicit FtpServer(const Change& change = {}, std::string listen = "127.0.0.1:0",
                     models::SessionService service = {})
      : listen_{std::move(listen)},
        service_{std::move(service)},
        settings_{make_settings(change)} {}
  ~FtpServer() {
    if (!master_.ended()) {
      master_.kill(SIGINT);
      master_.wait();
    }
  }

  net::Address address() const {
    EXPECT_TRUE(serving_.wait(Deadline::in(kPatience))) << log_text();
    return net::Address::parse(listen_.substr(0, listen_.rfind(':') + 1) +
                               std::to_string(port_->load()));
  }
  std::string url() const { return "ftp://" + address().text() + "/"; }
  const std::filesystem::path& root() const { return root_.path(); }
  void write(const std::string& name, std::string_view content) const {
    std::filesystem::create_directories((root() / name).parent_path());
    std::ofstream{root() / name, std::ios::binary} << content;
  }
  std::string read(const std::string& name) const { return read_file(root() / name); }
  const models::SessionBoard& board() const { return *board_; }
  bool has_sessions(std::size_t number) const {
    return eventually([&] { return models::sessions_of(board()).size() == number; });
  }
  std::string transfers() const { return read_file(folder_.path() / "xferlog"); }
  std::string log_text() const {
    const auto log = folder_.path() / "log";
    return std::filesystem::exists(log) ? read_file(log) : std::string{};
  }
  const std::filesystem::path& folder() const { return folder_.path(); }  // of its logs
  pid_t pid() const { return master_.pid(); }
  void signal(int number) { master_.kill(number); }
  Ending wait() { return master_.wait(); }

 private:
  ftp::SettingsPtr make_settings(const Change& change) const {
    ftp::Settings settings;
    settings.users["ada"] = {.hash = kHashOfSecret, .home = root(), .may_write = true};
    settings.users["bob"] = {.hash = kHashOfSecret, .home = root()};
    settings.transfer_log = folder_.path() / "xferlog";
    if (models::sandbox_is_available())
      settings.sandbox = std::make_shared<models::SandboxFilter>(models::SandboxFor::session);
    if (change) change(settings);
    return std::make_shared<const ftp::Settings>(std::move(settings));
  }

  models::SessionService service() const {
    models::SessionService service = service_;
    service.listen = {net::Address::parse(listen_)};
    service.full = "421 Full.\r\n";
    service.too_many_from_there = "421 Too many from there.\r\n";
    service.handler = [settings = settings_](models::Session& session, net::Stream stream) {
      return ftp::serve(session, std::move(stream), settings);
    };
    const std::string log = folder_.path() / "log";
    service.make_logger = [log] { return models::make_error_log("test", log); };
    service.prepare_logs = [log, owner = service.run_as] { models::make_log_file(log, owner); };
    return service;
  }

  int run() {
    models::ForkPerClient master{
        service(),
        {.reload = [this] { return service(); },
         .on_serving =
             [this](const auto& addresses) {
               *port_ = addresses.front().port();
               serving_.open();
             }},
        models::ForkPerClient::Board::attach(UniqueFd{::fcntl(board_.fd(), F_DUPFD_CLOEXEC, 3)})};
    return master.run();
  }

  proc::ScopedSignalAction no_sigpipe_{SIGPIPE, SIG_IGN};  // clients write to what is closed
  std::string listen_;
  models::SessionService service_;
  TempDir root_;
  TempDir folder_;
  ftp::SettingsPtr settings_;
  ipc::Shared<std::atomic<std::uint16_t>> port_;
  models::ForkPerClient::Board board_;
  Gate serving_;
  Forked master_{[this] { return run(); }};
};

// Blocks, with a watchdog. Replies are without their line's end; of several lines, with LF between.
class FtpClient {
 public:
  explicit FtpClient(const FtpServer& server) : FtpClient{server.address()} {}
  explicit FtpClient(const net::Address& server) : control_{connect_to(server)} {
    greeting_ = receive();
  }

  const std::string& greeting() const { return greeting_; }
  int fd() const { return control_.fd(); }

  void send(std::string_view bytes) { write_full(control_.fd(), bytes, "client"); }
  std::string ask(const std::string& line) {
    send(line + "\r\n");
    return receive();
  }

  // The next reply, whole; empty: the connection has ended.
  std::string receive() {
    std::string text;
    for (;;) {
      const std::string line = receive_line();
      if (line.empty()) return text;
      text += (text.empty() ? "" : "\n") + line;
      if (line.size() > 3 && line[3] == ' ' && line.substr(0, 3) == text.substr(0, 3)) return text;
    }
  }
  bool ended() { return receive().empty(); }

  void log_in(const std::string& name = "ada") {
    EXPECT_EQ(ask("USER " + name).substr(0, 3), "331");
    EXPECT_EQ(ask("PASS secret").substr(0, 3), "230");
    EXPECT_EQ(ask("TYPE I").substr(0, 3), "200");
  }

  // A data connection to the port that PASV names.
  UniqueFd passive() {
    const std::string text = ask("EPSV");
    const auto at = text.find("(|||");
    if (at == text.npos) throw std::runtime_error{text};
    const int port = std::stoi(text.substr(at + 4));
    const net::Address peer = net::Address::peer_of(control_.fd());
    const bool v6 = peer.host().find(':') != std::string::npos;
    return connect_to(net::Address::parse((v6 ? "[" + peer.host() + "]" : peer.host()) + ":" +
                                          std::to_string(port)));
  }

  // Of a command that sends: what came, and then `end()` is what was said last.
  std::string fetch(const std::string& command) {
    const UniqueFd data = passive();
    const std::string opening = ask(command);
    if (opening.substr(0, 3) != "150") {
      end_ = opening;
      return {};
    }
    std::string content = read_to_end(data.fd(), "data");
    end_ = receive();
    return content;
  }
  std::string get(const std::string& name) { return fetch("RETR " + name); }

  void put(const std::string& command, std::string_view content) {
    UniqueFd data = passive();
    end_ = ask(command);
    if (end_.substr(0, 3) != "150") return;
    write_full(data.fd(), content, "data");
    data.reset();
    end_ = receive();
  }
  const std::string& end() const { return end_; }

  static UniqueFd connect_to(const net::Address& address) {
    UniqueFd socket{::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (!socket.valid() || ::connect(socket.fd(), address.data(), address.size()) != 0)
      throw_errno("connect", address.text());
    return socket;
  }

 private:
  std::string receive_line() {
    std::string line;
    for (char byte = 0; byte != '\n'; line += byte) {
      if (wait_ready(control_.fd(), POLLIN, Deadline::in(kPatience)) == 0) {
        ADD_FAILURE() << "no reply for a long time";
        return {};
      }
      if (::recv(control_.fd(), &byte, 1, 0) != 1) return {};
    }
    EXPECT_TRUE(line.ends_with("\r\n")) << line;
    return line.substr(0, line.size() - 2);
  }

  UniqueFd control_;
  std::string greeting_;
  std::string end_;
};

}  // namespace procpool::test
