// From bytes to the head of a request: strict, incremental, without allocation.
//
//   HeadParser parser;                                 // one for each connection
//   switch (auto head = parser.parse(input, request); head.state) {
//     case HeadParser::State::incomplete: read more behind `input`, and parse again; break;
//     case HeadParser::State::complete:   the body begins at input.substr(head.size); break;
//     case HeadParser::State::bad:        answer head.status and close the connection;
//   }
#pragma once

#include <cstddef>
#include <string_view>

#include "servers/http/request.hpp"
#include "servers/http/status.hpp"

namespace procpool::http {

// What a client may send before its request is refused, in bytes.
struct HeadLimits {
  std::size_t request_line = 8192;  // more: 414. RFC 9112 §3 asks for 8,000 at least
  std::size_t fields = 32768;       // all field lines together; more: 431
};

// Judges a head by RFC 9110 and 9112 as a server that is no proxy: everything in which two readers
// could see two different requests is bad. What is wrong is said as soon as it is seen: the request
// line when its end has come, a bare CR, a bare LF or a NUL at once, the fields when all are there.
//
// After `bad` nothing of the input can be trusted: the connection must be closed behind the answer,
// whatever the status. The Request then holds what was understood before (line, method), so that
// the answer to HEAD has no body and the log has its line. While `incomplete` the Request is of no
// use.
//
// More than Fields::kCapacity fields: 431. A body that is announced is not judged by its size here,
// unless that is a number beyond 2^64: 400.
//
// A value, of one thread. Where it stopped is kept as offsets: the input may move between calls.
class HeadParser {
 public:
  enum class State { incomplete, complete, bad };

  struct Result {
    State state;
    std::size_t size = 0;        // of the head, with the empty lines before it; when complete
    Status status = Status::ok;  // the answer; when bad
  };

  HeadParser() = default;
  explicit HeadParser(HeadLimits limits) noexcept : limits_{limits} {}

  // Parses the head at the begin of `input`. Each call for one head gets what the last one got, and
  // more behind it; bytes that were seen are not looked at again but once, when the head is
  // complete. After `complete` the next call begins a new head. The views in `request` point into
  // this `input`.
  Result parse(std::string_view input, Request& request);

 private:
  // What is known of the head that is coming; all offsets are into the input.
  struct Progress {
    std::size_t begin = 0;    // of the request line: empty lines before it are passed
    std::size_t fields = 0;   // behind the request line; 0: it has not ended
    std::size_t line = 0;     // of the line that is coming
    std::size_t scanned = 0;  // up to here every byte is judged
  };

  Result scan(std::string_view input, Request& request);

  HeadLimits limits_;
  Progress at_;
};

}  // namespace procpool::http
