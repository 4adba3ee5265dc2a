#include "tests/support/http_client.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <ostream>
#include <stdexcept>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "tests/support/eventually.hpp"

namespace procpool::test {
namespace {

[[noreturn]] void refuse(const std::string& why, std::string_view what) {
  throw std::runtime_error{why + ": " + std::string{what}};
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// RFC 9112 section 4
int parse_status_line(std::string_view line) {
  const bool good = line.size() >= 13 && line.starts_with("HTTP/1.1 ") && line[9] >= '1' &&
                    line[9] <= '5' && is_digit(line[10]) && is_digit(line[11]) && line[12] == ' ';
  if (!good) refuse("not a status line", line);
  return std::stoi(std::string{line.substr(9, 3)});
}

std::pair<std::string, std::string> parse_field(std::string_view line) {
  const auto colon = line.find(':');
  const bool good =
      colon != std::string_view::npos && colon > 0 && line.substr(colon, 2) == ": " &&
      std::all_of(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(colon), [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-';
      });
  if (!good || line.find('\r') != std::string_view::npos) refuse("not a field", line);
  return {std::string{line.substr(0, colon)}, std::string{line.substr(colon + 2)}};
}

bool is_chunked(const Answer& answer) {
  const auto coding = answer.field("transfer-encoding");
  if (coding && *coding != "chunked") refuse("Transfer-Encoding", *coding);
  if (coding && answer.field("content-length")) refuse("Content-Length beside", *coding);
  return coding.has_value();
}

// Takes the line at the begin of `bytes` away; nullopt: it has not ended.
std::optional<std::string_view> take_line(std::string_view& bytes) {
  const auto end = bytes.find("\r\n");
  if (end == bytes.npos) return std::nullopt;
  const std::string_view line = bytes.substr(0, end);
  bytes.remove_prefix(end + 2);
  return line;
}

// The data of all chunks, without extensions and trailers; RFC 9112 section 7.1. `bytes` is left
// behind them; nullopt: they are not all there.
std::optional<std::string> take_chunks(std::string_view& bytes) {
  std::string body;
  for (;;) {
    const auto line = take_line(bytes);
    if (!line) return std::nullopt;
    std::size_t size = 0;
    const auto parsed = std::from_chars(line->data(), line->data() + line->size(), size, 16);
    if (line->empty() || parsed.ptr != line->data() + line->size()) refuse("chunk size", *line);
    if (bytes.size() < size + 2) return std::nullopt;
    if (bytes.substr(size, 2) != "\r\n") refuse("chunk", bytes.substr(0, size + 2));
    body.append(bytes.substr(0, size));
    bytes.remove_prefix(size + 2);
    if (size == 0) return body;
  }
}

// RFC 9110 section 8.6
std::size_t body_size(const Answer& answer, To to) {
  const auto length = answer.field("content-length");
  if (answer.status < 200 || answer.status == 204 || answer.status == 304) {
    if (length) refuse("Content-Length beside a status without a body", *length);
    return 0;
  }
  if (!length || length->empty() || !std::all_of(length->begin(), length->end(), is_digit)) {
    refuse("Content-Length", length.value_or("is missing"));
  }
  return to == To::head ? 0 : std::stoull(*length);
}

UniqueFd connect_to(const net::Address& server) {
  UniqueFd socket{::socket(server.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (!socket.valid()) throw_errno("socket");
  if (retry_eintr([&] { return ::connect(socket.fd(), server.data(), server.size()); }) < 0) {
    throw_errno("connect", server.text());
  }
  if (!server.is_unix()) {
    constexpr int kOn = 1;
    ::setsockopt(socket.fd(), IPPROTO_TCP, TCP_NODELAY, &kOn, sizeof kOn);
  }
  return socket;
}

}  // namespace

std::optional<std::string> Answer::field(std::string_view name) const {
  std::optional<std::string> found;
  for (const auto& [its_name, value] : fields) {
    if (!equals_ignoring_case(its_name, name)) continue;
    if (found) refuse("a repeated field", name);
    found = value;
  }
  return found;
}

std::ostream& operator<<(std::ostream& out, End end) {
  constexpr std::array kNames{"closed", "cut", "reset", "malformed", "never"};
  return out << kNames.at(static_cast<std::size_t>(end));
}

std::vector<int> Received::statuses() const {
  std::vector<int> all;
  all.reserve(answers.size());
  for (const Answer& answer : answers) all.push_back(answer.status);
  return all;
}

std::string request(std::string_view method, std::string_view target, std::string_view fields,
                    std::string_view body) {
  return std::string{method}
      .append(" ")
      .append(target)
      .append(" HTTP/1.1\r\nHost: a\r\n")
      .append(fields)
      .append("\r\n")
      .append(body);
}

std::optional<Answer> take_answer(std::string& bytes, To to) {
  constexpr std::string_view kEnd = "\r\n\r\n";
  const auto head_end = bytes.find(kEnd);
  if (head_end == std::string::npos) return std::nullopt;
  Answer answer;
  std::string_view head{bytes.data(), head_end + 2};
  if (std::count(head.begin(), head.end(), '\n') != std::count(head.begin(), head.end(), '\r')) {
    refuse("a bare CR or LF", head);
  }
  for (bool first = true; !head.empty(); first = false) {
    const auto line_end = head.find("\r\n");
    const auto line = head.substr(0, line_end);
    head.remove_prefix(line_end + 2);
    if (first) {
      answer.status = parse_status_line(line);
    } else {
      answer.fields.push_back(parse_field(line));
    }
  }
  const std::size_t begin = head_end + kEnd.size();
  if (is_chunked(answer)) {
    if (to == To::get) {
      std::string_view rest = std::string_view{bytes}.substr(begin);
      auto body = take_chunks(rest);
      if (!body) return std::nullopt;
      answer.body = *std::move(body);
      bytes.erase(0, bytes.size() - rest.size());
    } else {
      bytes.erase(0, begin);
    }
    return answer;
  }
  const std::size_t size = body_size(answer, to);
  if (bytes.size() - begin < size) return std::nullopt;
  answer.body = bytes.substr(begin, size);
  bytes.erase(0, begin + size);
  return answer;
}

HttpClient::HttpClient(std::uint16_t port)
    : HttpClient{net::Address::parse("127.0.0.1:" + std::to_string(port))} {}

HttpClient::HttpClient(const net::Address& server) : socket_{connect_to(server)} {}

void HttpClient::send(std::string_view bytes) {
  const auto patience = Deadline::in(kPatience);
  while (!bytes.empty()) {
    const ssize_t n = retry_eintr([&] {
      return ::send(socket_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    });
    if (n >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return;
    } else if (errno != EAGAIN) {
      throw_errno("send", "request");
    } else if (wait_ready(socket_.fd(), POLLOUT, patience) == 0) {
      throw Error{"send", "request", "the server does not read"};
    }
  }
}

void HttpClient::send_bytewise(std::string_view bytes) {
  for (const char byte : bytes) send({&byte, 1});
}

void HttpClient::finish() {
  ::shutdown(socket_.fd(), SHUT_WR);
}

bool HttpClient::readable(Deadline deadline) const {
  return wait_ready(socket_.fd(), POLLIN, deadline) != 0;
}

bool HttpClient::read_more() {
  if (!readable(Deadline::in(kPatience))) return false;
  std::array<char, 65536> buffer;
  const ssize_t n =
      retry_eintr([&] { return ::recv(socket_.fd(), buffer.data(), buffer.size(), 0); });
  if (n < 0 && errno != ECONNRESET && errno != EPIPE) throw_errno("recv", "answer");
  if (n > 0) {
    unread_.append(buffer.data(), static_cast<std::size_t>(n));
    return true;
  }
  end_ = n < 0 ? End::reset : End::closed;
  return false;
}

Answer HttpClient::receive(To to) {
  for (;;) {
    if (auto answer = take_answer(unread_, to)) return *std::move(answer);
    if (!read_more()) refuse("the connection ended without an answer", unread_);
  }
}

Answer HttpClient::get(std::string_view target) {
  send(get_request(target));
  return receive();
}

Received HttpClient::receive_rest(const std::vector<To>& to) {
  Received received;
  try {
    for (bool more = true; more;) {
      const std::size_t next = received.answers.size();
      if (auto answer = take_answer(unread_, next < to.size() ? to[next] : To::get)) {
        received.answers.push_back(*std::move(answer));
      } else {
        more = read_more();
      }
    }
    received.end = end_ == End::closed && !unread_.empty() ? End::cut : end_;
  } catch (const std::runtime_error&) {
    received.end = End::malformed;
  }
  return received;
}

std::string get_request(std::string_view target, std::string_view fields) {
  return std::string{"GET "}
      .append(target)
      .append(" HTTP/1.1\r\nHost: a\r\n")
      .append(fields)
      .append("\r\n");
}

}  // namespace procpool::test
