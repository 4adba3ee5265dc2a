// A client that sends bytes as they are, and is strict about what it gets.
//
//   HttpClient client{server.port()};
//   client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
//   EXPECT_EQ(client.receive().status, 200);          // the connection stays open
//   client.send(bad + good);
//   EXPECT_EQ(client.receive_rest().statuses(), std::vector{400});      // and then it was closed
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ipc/base/deadline.hpp"
#include "ipc/base/unique_fd.hpp"
#include "servers/net/address.hpp"

namespace procpool::test {

struct Answer {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> fields;  // as they came
  std::string body;

  // The value of a field that may be there once; its name in any case. Throws if it is there twice.
  std::optional<std::string> field(std::string_view name) const;
  bool says_close() const { return field("connection") == "close"; }
};

// What an answer is to: the answer to HEAD ends with its head.
enum class To { get, head };

// How a connection ended, seen from the client.
enum class End {
  closed,     // in good order, behind a complete answer or none
  cut,        // in the middle of an answer
  reset,      // by a reset
  malformed,  // it sent what is no answer
  never,      // it is open still, after all patience
};
std::ostream& operator<<(std::ostream& out, End end);

struct Received {
  std::vector<Answer> answers;
  End end = End::closed;

  std::vector<int> statuses() const;
};

// The bytes of a request of host "a"; each of the fields ends with CRLF.
std::string request(std::string_view method, std::string_view target, std::string_view fields = {},
                    std::string_view body = {});

// Reads the answer at the begin of `bytes` and takes it away; nullopt: it is not all there. Throws
// std::runtime_error when it is no answer of RFC 9112: a wrong status line, a bare LF, a field
// without a name, a chunk that is none, Content-Length missing, repeated or beside a status that
// has no body.
std::optional<Answer> take_answer(std::string& bytes, To to = To::get);

// One connection. Of one thread. It never waits longer than kPatience.
class HttpClient {
 public:
  explicit HttpClient(std::uint16_t port);  // on 127.0.0.1
  explicit HttpClient(const net::Address& server);

  // Sends everything; what the server does not want any more is not missed. Throws Error when the
  // server takes nothing for kPatience.
  void send(std::string_view bytes);
  void send_bytewise(std::string_view bytes);  // each byte in a segment of its own
  void finish();                               // nothing more will come; shutdown(2)

  // The next answer. Throws std::runtime_error if the connection ends first.
  Answer receive(To to = To::get);

  // Sends a request for `target` and receives the answer.
  Answer get(std::string_view target);

  // All answers up to the end of the connection. To::get is assumed behind the end of `to`.
  Received receive_rest(const std::vector<To>& to = {});

  // Something has come, or the end. False: not before the deadline.
  bool readable(Deadline deadline) const;

  int fd() const noexcept { return socket_.fd(); }

 private:
  // Reads more into unread_. False: the connection has ended, and end_ tells how.
  bool read_more();

  UniqueFd socket_;
  std::string unread_;
  End end_ = End::never;
};

// "GET /a HTTP/1.1" with Host, and further complete lines of fields.
std::string get_request(std::string_view target, std::string_view fields = {});

}  // namespace procpool::test
