// An FTP server that says what a test wants it to say, however wrong.
//
//   FakeServer server{{.replies = {{"SIZE", "213 10"}}, .data = send("RETR", "too short")}};
//   ftp({"get", server.url("a"), copy});
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "servers/ftp/command.hpp"
#include "servers/net/address.hpp"
#include "servers/net/listener.hpp"
#include "tests/support/forked.hpp"

namespace procpool::test {

struct FakeScript {
  // By verb, instead of what a decent server says; without an end of line. Empty: it hangs up.
  // "CONNECT" is the greeting.
  std::map<std::string, std::string> replies{};

  // What goes over the data connection; nullopt: 550.
  using Data = std::function<std::optional<std::string>(const std::string& verb,
                                                        const std::string& argument)>;
  Data data{};
  bool endless = false;        // it goes on for ever after that
  std::string end = "226 ok";  // of a transfer
};

inline FakeScript::Data send(const std::string& wanted, const std::string& content) {
  return [=](const std::string& verb, const std::string&) -> std::optional<std::string> {
    if (verb == wanted) return content;
    return std::nullopt;
  };
}

// In a process of its own, which ends with the test; for one client at a time.
class FakeServer {
 public:
  explicit FakeServer(FakeScript script) : script_{std::move(script)} {}

  std::string url(const std::string& path = {}) const {
    return "ftp://" + listener_.address().text() + "/" + path;
  }

 private:
  static UniqueFd accepted(const net::Listener& listener) {
    wait_ready(listener.fd(), POLLIN, Deadline::never());
    auto got = listener.try_accept();
    return std::holds_alternative<UniqueFd>(got) ? std::move(std::get<UniqueFd>(got)) : UniqueFd{};
  }

  void serve() {
    for (;;) {
      const UniqueFd client = accepted(listener_);
      try {
        if (client.valid()) talk_to(client.fd());
      } catch (const Error&) {
        continue;  // it has left
      }
    }
  }

  void talk_to(int client) {
    ftp::CommandReader reader;
    std::array<char, 4096> buffer;
    for (bool going = say(client, "CONNECT", "220 fake"); going;) {
      wait_ready(client, POLLIN, Deadline::never());
      const ssize_t count = ::recv(client, buffer.data(), buffer.size(), 0);
      if (count <= 0) return;
      reader.feed({buffer.data(), static_cast<std::size_t>(count)});
      while (const auto line = reader.next()) {
        const ftp::Command command = ftp::parse_command(*line);
        if (going) going = answer(client, command);
      }
    }
  }

  // False: it hangs up.
  bool say(int client, const std::string& verb, const std::string& otherwise) {
    const auto found = script_.replies.find(verb);
    const std::string text = found == script_.replies.end() ? otherwise : found->second;
    if (!text.empty()) write_full(client, text + "\r\n", "client");
    return !text.empty();
  }

  bool answer(int client, const ftp::Command& command) {
    static const std::map<std::string, std::string> kDecent{
        {"USER", "331 password"}, {"PASS", "230 in"}, {"FEAT", "211-x\r\n MLST type*;\r\n211 x"},
        {"PWD", "257 \"/\""},     {"TYPE", "200 ok"}, {"CWD", "250 ok"},
        {"NOOP", "200 ok"},       {"ABOR", "226 ok"}, {"QUIT", "221 bye"},
        {"REST", "350 ok"},       {"SIZE", "550 no"}, {"MDTM", "550 no"},
        {"MKD", "257 ok"},        {"OPTS", "200 ok"}};
    const std::string& verb = command.verb;
    if (script_.replies.contains(verb)) return say(client, verb, "");
    if (verb == "EPSV") return say(client, verb, "229 ok (|||" + data_port() + "|)");
    if (verb == "PASV") return say(client, verb, "227 10,1,2,3," + pasv_port());
    if (verb == "RETR" || verb == "LIST" || verb == "MLSD") return send_data(client, command);
    const auto decent = kDecent.find(verb);
    return say(client, verb, decent == kDecent.end() ? "500 what?" : decent->second);
  }

  std::string data_port() const { return std::to_string(data_.address().port()); }
  std::string pasv_port() const {
    const unsigned port = data_.address().port();
    return std::to_string(port / 256) + "," + std::to_string(port % 256);
  }

  bool send_data(int client, const ftp::Command& command) {
    const auto content = script_.data ? script_.data(command.verb, command.argument) : std::nullopt;
    if (!content) return accepted(data_).valid() && say(client, "", "550 no such file");
    say(client, "", "150 here it comes");
    UniqueFd data = accepted(data_);
    try {
      write_full(data.fd(), *content, "data");
      while (script_.endless) write_full(data.fd(), std::string(65'536, 'x'), "data");
    } catch (const Error&) {
      return say(client, "", "426 you left");
    }
    data.reset();
    return say(client, "", script_.end);
  }

  FakeScript script_;
  net::Listener listener_ = net::Listener::open(net::Address::parse("127.0.0.1:0"));
  net::Listener data_ = net::Listener::open(net::Address::parse("127.0.0.1:0"));
  Forked process_{[this] { serve(); }};
};

}  // namespace procpool::test
