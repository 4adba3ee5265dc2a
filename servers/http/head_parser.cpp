// Three steps. The scan finds the lines and refuses what no line may hold; the request line is
// judged as soon as it ends. Beast's parser judges the grammar of the fields when all are there.
// Then the fields that tell where the request ends, and for whom it is, are judged once more.
//
// Why not Beast alone (1.81, tried): it joins obs-fold silently; takes `Content-Length: 5, 5`;
// takes unknown codings and `chunked, gzip` as a request without a body, so that the body is read
// as the next request; decodes chunks in HTTP/1.0; refuses empty lines before a request; and
// refuses HTTP/1.2 and HTTP/2.0 with one and the same error. So the request line never reaches it:
// it is shown one of ours instead.
#include "servers/http/head_parser.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include <boost/beast/http/basic_parser.hpp>

#include "servers/http/detail/grammar.hpp"

namespace procpool::http {
namespace {

namespace beast = boost::beast;

constexpr std::size_t kMaxEmptyLines = 4;

// unreserved and sub-delims: a reg-name, RFC 3986 §3.2.2.
constexpr ByteSet kRegName = alphanumeric_and("-._~!$&'()*+,;=");

// What may stand in a target: every visible character but '#', which begins a fragment, and bytes
// beyond ASCII, which clients do send.
constexpr ByteSet kTarget = [] {
  ByteSet set{};
  for (std::size_t c = '!'; c < set.size(); ++c) set[c] = c != '#' && c != 0x7f;
  return set;
}();

Method method_of(std::string_view name) noexcept {
  static constexpr std::pair<std::string_view, Method> kMethods[] = {
      {"GET", Method::get},     {"HEAD", Method::head},       {"POST", Method::post},
      {"PUT", Method::put},     {"DELETE", Method::delete_},  {"OPTIONS", Method::options},
      {"TRACE", Method::trace}, {"CONNECT", Method::connect}, {"PATCH", Method::patch},
      {"MKCOL", Method::mkcol},
  };
  for (const auto& [known, method] : kMethods) {
    if (name == known) return method;
  }
  return Method::unknown;
}

// --- host[:port] ---

bool is_ipv6_address(std::string_view text) noexcept {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size()) return false;
  text.copy(terminated.data(), text.size());
  in6_addr address;
  return ::inet_pton(AF_INET6, terminated.data(), &address) == 1;
}

bool is_reg_name(std::string_view name) noexcept {
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (contains(kRegName, name[i])) continue;
    if (name[i] != '%' || i + 2 >= name.size() || hex_value(name[i + 1]) < 0 ||
        hex_value(name[i + 2]) < 0) {
      return false;
    }
    i += 2;
  }
  return true;
}

// RFC 3986 §3.2 without userinfo (RFC 9110 §4.2.4), and §4.2.1 there: http knows no empty host.
bool is_authority(std::string_view text) noexcept {
  std::string_view port;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == text.npos || !is_ipv6_address(text.substr(1, close - 1))) return false;
    port = text.substr(close + 1);
  } else {
    const auto colon = std::min(text.find(':'), text.size());
    if (colon == 0 || !is_reg_name(text.substr(0, colon))) return false;
    port = text.substr(colon);
  }
  return port.empty() ||
         (port.front() == ':' && std::all_of(port.begin() + 1, port.end(), is_digit));
}

// --- the request line ---

void split_query(std::string_view path_and_query, Request& request) noexcept {
  const auto mark = std::min(path_and_query.find('?'), path_and_query.size());
  request.path = path_and_query.substr(0, mark);
  if (mark < path_and_query.size()) request.query = path_and_query.substr(mark + 1);
}

std::string_view without_scheme(std::string_view target) noexcept {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (equals_ignoring_case(target.substr(0, scheme.size()), scheme)) {
      return target.substr(scheme.size());
    }
  }
  return {};
}

Status judge_target(Request& request) noexcept {
  const std::string_view target = request.target;
  if (target.front() == '/') {
    request.target_form = TargetForm::origin;
    split_query(target, request);
    return Status::ok;
  }
  if (target == "*") {
    request.target_form = TargetForm::asterisk;
    return request.method == Method::options ? Status::ok : Status::bad_request;
  }
  const std::string_view rest = without_scheme(target);
  const auto host_size = std::min(rest.find_first_of("/?"), rest.size());
  if (!is_authority(rest.substr(0, host_size))) return Status::bad_request;
  request.target_form = TargetForm::absolute;
  request.host = rest.substr(0, host_size);
  split_query(rest.substr(host_size), request);
  if (request.path.empty()) request.path = "/";
  return Status::ok;
}

Status judge_version(std::string_view version, Request& request) noexcept {
  const bool well_formed = version.size() == 8 && version.starts_with("HTTP/") &&
                           is_digit(version[5]) && version[6] == '.' && is_digit(version[7]);
  if (!well_formed || version[5] == '0') return Status::bad_request;
  if (version[5] != '1') return Status::http_version_not_supported;
  request.minor_version = version[7] == '0' ? 0 : 1;
  return Status::ok;
}

// RFC 9112 §3: method SP request-target SP HTTP-version, and nothing else between them.
Status judge_request_line(std::string_view line, Request& request) noexcept {
  request.line = line;
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == line.npos || first == last) return Status::bad_request;
  request.method_name = line.substr(0, first);
  request.target = line.substr(first + 1, last - first - 1);
  if (first == 0 || !consists_of(request.method_name, kToken)) return Status::bad_request;
  request.method = method_of(request.method_name);
  if (request.target.empty() || !consists_of(request.target, kTarget)) return Status::bad_request;
  if (const Status status = judge_version(line.substr(last + 1), request); status != Status::ok) {
    return status;
  }
  switch (request.method) {
    case Method::unknown:
    case Method::connect:
    case Method::trace:
      return Status::not_implemented;
    default:
      return judge_target(request);
  }
}

// --- the fields ---

// Calls visit(element) for each element of a comma-separated list, without the white space around
// it, until it returns false; false then. Quotes mean nothing in the lists that are read here.
template <typename Visit>
bool for_each_element(std::string_view list, Visit&& visit) {
  for (;;) {
    const auto comma = std::min(list.find(','), list.size());
    if (!visit(trim(list.substr(0, comma)))) return false;
    if (comma == list.size()) return true;
    list.remove_prefix(comma + 1);
  }
}

// What the fields say about the request as a whole, gathered one by one.
class FieldJudge {
 public:
  explicit FieldJudge(Request& request) noexcept : request_{request} {}

  Status add(Field field) {
    if (!request_.fields.add(field)) return Status::request_header_fields_too_large;
    // The lengths keep most fields from being compared at all.
    switch (field.name.size()) {
      case 4:
        return is(field, "host") ? host(field.value) : Status::ok;
      case 6:
        return is(field, "expect") ? expect(field.value) : Status::ok;
      case 10:
        return is(field, "connection") ? connection(field.value) : Status::ok;
      case 14:
        return is(field, "content-length") ? content_length(field.value) : Status::ok;
      case 17:
        return is(field, "transfer-encoding") ? transfer_encoding(field.value) : Status::ok;
      default:
        return Status::ok;
    }
  }

  Status finish() noexcept {
    const bool is_1_0 = request_.minor_version == 0;
    if (!host_ && !is_1_0) return Status::bad_request;
    if (request_.target_form != TargetForm::absolute && host_) request_.host = *host_;
    if (chunked_ || other_coding_) {
      if (is_1_0 || request_.body_framing == BodyFraming::length) return Status::bad_request;
      if (other_coding_) return Status::not_implemented;
      request_.body_framing = BodyFraming::chunked;
    }
    request_.keep_alive = !close_ && (!is_1_0 || keep_alive_);
    request_.expect_continue = continue_ && !is_1_0;
    return Status::ok;
  }

 private:
  static bool is(Field field, std::string_view name) noexcept {
    return equals_ignoring_case(field.name, name);
  }

  // An empty one is for targets without an authority: RFC 9112 §3.2.
  Status host(std::string_view value) noexcept {
    if (host_ || (!value.empty() && !is_authority(value))) return Status::bad_request;
    host_ = value;
    return Status::ok;
  }

  Status expect(std::string_view value) noexcept {
    if (!equals_ignoring_case(value, "100-continue")) return Status::expectation_failed;
    continue_ = true;
    return Status::ok;
  }

  Status connection(std::string_view value) {
    for_each_element(value, [&](std::string_view option) {
      close_ = close_ || equals_ignoring_case(option, "close");
      keep_alive_ = keep_alive_ || equals_ignoring_case(option, "keep-alive");
      return true;
    });
    return Status::ok;
  }

  Status content_length(std::string_view value) noexcept {
    if (request_.body_framing == BodyFraming::length) return Status::bad_request;
    request_.body_framing = BodyFraming::length;
    const char* const end = value.data() + value.size();
    const auto parsed = std::from_chars(value.data(), end, request_.content_length);
    return parsed.ec == std::errc{} && parsed.ptr == end ? Status::ok : Status::bad_request;
  }

  // RFC 9112 §6.1: chunked is the last coding and is there once. No other coding is known here, and
  // a coding after chunked leaves no way to find the end.
  Status transfer_encoding(std::string_view value) {
    const bool sane = for_each_element(value, [&](std::string_view coding) {
      if (coding.empty() || chunked_) return false;
      if (equals_ignoring_case(coding, "chunked")) {
        chunked_ = true;
      } else {
        other_coding_ = true;
      }
      return true;
    });
    return sane ? Status::ok : Status::bad_request;
  }

  Request& request_;
  std::optional<std::string_view> host_;
  bool chunked_ = false;
  bool other_coding_ = false;
  bool close_ = false;
  bool keep_alive_ = false;
  bool continue_ = false;
};

// Beast's parser, asked for the grammar of the fields alone.
class FieldParser : beast::http::basic_parser<true> {
  using Base = beast::http::basic_parser<true>;
  using ErrorCode = beast::error_code;
  using View = beast::string_view;

 public:
  explicit FieldParser(Request& request) : judge_{request} {
    header_limit(std::numeric_limits<std::uint32_t>::max());
    body_limit(boost::none);
  }

  // `fields` ends with the empty line behind the last one.
  Status parse(std::string_view fields) {
    static constexpr std::string_view kRequestLine = "GET / HTTP/1.1\r\n";
    ErrorCode error;
    put({kRequestLine.data(), kRequestLine.size()}, error);
    put({fields.data(), fields.size()}, error);
    if (status_ != Status::ok) return status_;
    if (error) return Status::bad_request;
    return judge_.finish();
  }

 private:
  void on_field_impl(beast::http::field, View name, View value, ErrorCode& error) override {
    status_ = judge_.add({{name.data(), name.size()}, {value.data(), value.size()}});
    if (status_ != Status::ok) error = beast::http::error::bad_value;
  }

  void on_request_impl(beast::http::verb, View, View, int, ErrorCode&) override {}
  void on_response_impl(int, View, int, ErrorCode&) override {}
  void on_header_impl(ErrorCode&) override {}
  void on_body_init_impl(boost::optional<std::uint64_t> const&, ErrorCode&) override {}
  std::size_t on_body_impl(View, ErrorCode&) override { return 0; }
  void on_chunk_header_impl(std::uint64_t, View, ErrorCode&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, View, ErrorCode&) override { return 0; }
  void on_finish_impl(ErrorCode&) override {}

  FieldJudge judge_;
  Status status_ = Status::ok;
};

// No NUL, and CR and LF only as a pair at the end. `part` reaches up to the end of its line, or of
// the input: then a CR in the last place may yet become the first half of a pair.
bool is_clean(std::string_view part, bool ended) noexcept {
  if (part.find('\0') != part.npos) return false;
  const auto cr = part.find('\r');
  return ended ? part.ends_with("\r\n") && cr == part.size() - 2 : cr >= part.size() - 1;
}

constexpr HeadParser::Result bad(Status status) noexcept {
  return {.state = HeadParser::State::bad, .status = status};
}

}  // namespace

HeadParser::Result HeadParser::parse(std::string_view input, Request& request) {
  request.reset();
  const Result head = scan(input, request);
  if (head.state == State::incomplete) return head;
  if (at_.fields != 0 && request.line.empty()) {  // judged by an earlier call, in another place
    judge_request_line(input.substr(at_.begin, at_.fields - at_.begin - 2), request);
  }
  if (head.state == State::bad) return head;

  const auto fields = input.substr(at_.fields, head.size - at_.fields);
  const Status status = FieldParser{request}.parse(fields);
  if (status != Status::ok) return bad(status);
  at_ = {};
  return head;
}

HeadParser::Result HeadParser::scan(std::string_view input, Request& request) {
  while (at_.scanned < input.size()) {
    const std::string_view fresh = input.substr(at_.scanned);
    const auto line_feed = fresh.find('\n');
    const bool ended = line_feed != fresh.npos;
    const std::string_view part = ended ? fresh.substr(0, line_feed + 1) : fresh;
    const std::size_t end = at_.scanned + part.size();
    const bool in_fields = at_.fields != 0;

    if (!is_clean(part, ended)) return bad(Status::bad_request);
    if (in_fields && is_white(input[at_.line])) return bad(Status::bad_request);  // obs-fold
    if (in_fields && end - at_.fields > limits_.fields) {
      return bad(Status::request_header_fields_too_large);
    }
    if (!in_fields && end - at_.begin > limits_.request_line) return bad(Status::uri_too_long);
    if (!ended) {
      at_.scanned = part.ends_with('\r') ? end - 1 : end;
      break;
    }

    const std::string_view line = input.substr(at_.line, end - at_.line - 2);
    at_.line = at_.scanned = end;
    if (in_fields) {
      if (line.empty()) return {.state = State::complete, .size = end};
    } else if (line.empty()) {
      at_.begin = end;
      if (end > 2 * kMaxEmptyLines) return bad(Status::bad_request);
    } else {
      const Status status = judge_request_line(line, request);
      if (status != Status::ok) return bad(status);
      at_.fields = end;
    }
  }
  return {.state = State::incomplete};
}

}  // namespace procpool::http
