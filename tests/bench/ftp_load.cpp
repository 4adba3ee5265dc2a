// One FTP client that does the same thing again and again, as fast as the server lets it:
//   ftp_load PORT USER SECONDS connect | login | list PATH | retr PATH
//   ftp_load PORT USER COUNT get PATH | put PATH BYTES | idle
// Prints how often it was done, and in how many seconds. `idle` logs in so many times, says so, and
// stays until its standard input ends.
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/unique_fd.hpp"

namespace procpool {
namespace {

using Clock = std::chrono::steady_clock;

UniqueFd connect_to(std::uint16_t port) {
  UniqueFd connection{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (!connection.valid() ||
      ::connect(connection.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    throw_errno("connect", std::to_string(port));
  return connection;
}

std::size_t drain(const UniqueFd& data) {
  static std::vector<char> buffer(std::size_t{1} << 20U);
  std::size_t bytes = 0;
  for (;;) {
    const ssize_t got = ::recv(data.fd(), buffer.data(), buffer.size(), 0);
    if (got < 0) throw_errno("recv", "data");
    if (got == 0) return bytes;
    bytes += static_cast<std::size_t>(got);
  }
}

class Client {
 public:
  explicit Client(std::uint16_t port) : control_{connect_to(port)} { expect("220"); }

  void log_in(const std::string& user) {
    if (ask("USER " + user, "") == "331") ask("PASS secret", "230");
    ask("TYPE I", "200");
  }
  void quit() {
    ask("QUIT", "221");
    std::array<char, 64> rest;
    while (::recv(control_.fd(), rest.data(), rest.size(), 0) > 0) continue;
  }
  std::size_t fetch(const std::string& command) {
    UniqueFd data = open_data();
    ask(command, "150");
    const std::size_t bytes = drain(data);
    data.reset();  // vsftpd's close waits for it
    expect("226");
    return bytes;
  }
  void put(const std::string& path, std::size_t bytes) {
    static const UniqueFd source{::memfd_create("source", MFD_CLOEXEC)};
    constexpr std::size_t kPiece = std::size_t{64} << 20U;
    if (::ftruncate(source.fd(), kPiece) != 0) throw_errno("ftruncate", "source");
    UniqueFd data = open_data();
    ask("STOR " + path, "150");
    while (bytes > 0) {
      off_t at = 0;
      const ssize_t sent = ::sendfile(data.fd(), source.fd(), &at, std::min(bytes, kPiece));
      if (sent <= 0) throw_errno("sendfile", path);
      bytes -= static_cast<std::size_t>(sent);
    }
    data.reset();
    expect("226");
  }

 private:
  std::string ask(const std::string& command, std::string_view code) {
    write_full(control_.fd(), command + "\r\n", "control");
    return expect(code).substr(0, 3);
  }

  // The end of a reply, RFC 959 §4.2: its code, and no '-'.
  std::string expect(std::string_view code) {
    for (;;) {
      std::size_t end = 0;
      while ((end = unread_.find('\n')) == unread_.npos) {
        std::array<char, 4096> buffer;
        const ssize_t got = ::recv(control_.fd(), buffer.data(), buffer.size(), 0);
        if (got <= 0) throw Error{"await " + std::string{code}, "control", "it has ended"};
        unread_.append(buffer.data(), static_cast<std::size_t>(got));
      }
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      if (line.size() < 4 || line[3] != ' ') continue;
      if (line.starts_with(code)) return line;
      throw Error{"await " + std::string{code}, "control", line};
    }
  }

  UniqueFd open_data() {
    write_full(control_.fd(), "EPSV\r\n", "control");
    const std::string line = expect("229");
    const auto at = line.find("|||");
    return connect_to(static_cast<std::uint16_t>(std::atoi(line.c_str() + at + 3)));
  }

  UniqueFd control_;
  std::string unread_;
};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void tell(long count, double seconds) {
  std::cout << count << ' ' << seconds << std::endl;
}

void again_and_again(double seconds, const std::function<void()>& work) {
  const auto start = Clock::now();
  long count = 0;
  do {
    work();
    ++count;
  } while (seconds_since(start) < seconds);
  tell(count, seconds_since(start));
}

void so_often(long count, const std::function<void()>& work) {
  const auto start = Clock::now();
  for (long i = 0; i < count; ++i) work();
  tell(count, seconds_since(start));
}

void stay(std::uint16_t port, const std::string& user, long count) {
  std::vector<Client> clients;
  clients.reserve(static_cast<std::size_t>(count));
  for (long i = 0; i < count; ++i) clients.emplace_back(port).log_in(user);
  tell(count, 0);
  while (std::cin.get() != EOF) continue;
}

void run(const std::vector<std::string>& arguments) {
  const auto port = static_cast<std::uint16_t>(std::stoi(arguments.at(1)));
  const std::string& user = arguments.at(2);
  const std::string& number = arguments.at(3);
  const std::string& what = arguments.at(4);
  if (what == "connect")
    return again_and_again(std::stod(number), [&] { const Client client{port}; });
  if (what == "login") {
    return again_and_again(std::stod(number), [&] {
      Client client{port};
      client.log_in(user);
      client.quit();
    });
  }
  if (what == "idle") return stay(port, user, std::stol(number));
  Client client{port};
  client.log_in(user);
  const std::string& path = arguments.at(5);
  if (what == "list") again_and_again(std::stod(number), [&] { client.fetch("LIST " + path); });
  if (what == "retr") again_and_again(std::stod(number), [&] { client.fetch("RETR " + path); });
  if (what == "get") so_often(std::stol(number), [&] { client.fetch("RETR " + path); });
  if (what == "put")
    so_often(std::stol(number), [&] { client.put(path, std::stoul(arguments.at(6))); });
  client.quit();
}

}  // namespace
}  // namespace procpool

int main(int argc, char** argv) {
  try {
    procpool::run({argv, argv + argc});
  } catch (const std::exception& error) {
    std::cerr << "ftp_load: " << error.what() << '\n';
    return EXIT_FAILURE;
  }
}
