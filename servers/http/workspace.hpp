// What a connection needs while it is busy, lent by its worker; an idle connection has none.
//
//   Workspaces pool;
//   auto work = pool.lend();                      // given back when it goes out of scope
//   auto got = co_await stream.read_some(work->room(), deadline);
//   work->append(got.bytes);
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ipc/base/deadline.hpp"
#include "servers/http/access_format.hpp"
#include "servers/http/head_parser.hpp"
#include "servers/http/page.hpp"
#include "servers/http/request.hpp"
#include "servers/http/responder.hpp"

namespace procpool::http {

// An answer that is not yet sent. Its views are of the input.
struct PendingAnswer {
  AccessRecord record;
  std::size_t end;                      // of it in the output
  Deadline::Clock::time_point request;  // when its first byte was there
};

// Buffers for one request at a time, and the answers that are gathered for one send. The views in
// `request` are of `input`: good until the next room().
struct Workspace {
  // The largest head that HeadLimits allows, the empty lines before it, and room for a piece of a
  // body behind it.
  static constexpr std::size_t kInputSize = std::size_t{48} << 10;

  explicit Workspace(HeadLimits limits) : parser{limits}, input(kInputSize, '\0') {}

  std::string_view pending() const noexcept {
    return std::string_view{input}.substr(begin, end - begin);
  }
  void consume(std::size_t count) noexcept { begin += count; }
  void append(std::size_t count, Deadline::Clock::time_point now) noexcept {
    end += count;
    last_read = now;
  }

  std::span<char> room() noexcept;  // behind what is pending, which may move
  std::span<char> room_behind(
      std::size_t kept) noexcept;  // nothing is pending; what lies before `kept` stays

  void reset(HeadLimits limits) noexcept;  // as new, but for the memory

  HeadParser parser;
  Request request;
  std::string input;
  std::size_t begin = 0;  // what is pending is input[begin, end)
  std::size_t end = 0;
  Deadline::Clock::time_point last_read{};
  std::optional<Deadline::Clock::time_point> request_begun;  // when its first byte was there
  std::string output;
  std::vector<PendingAnswer> answers;    // in the output; of the last one maybe only the head
  std::unique_ptr<Responder> responder;  // makes the answer, when the body has come
  std::string elsewhere;  // what `request` was redirected to inside the server: its target
  PagePtr rest;           // its body, which is not in memory, goes out behind the output
  Persistence persistence = Persistence::keep;
  bool distrusted = false;  // what the client still sends must not be understood
  Deadline request_by = Deadline::never();
};

// Makes workspaces and keeps a few of those that come back. Of one thread; must outlive what it
// lends.
class Workspaces {
 public:
  static constexpr std::size_t kMostKept = 64;
  static constexpr std::size_t kLargestOutputKept = std::size_t{256} << 10;
  static constexpr std::size_t kMostAnswersKept = 256;

  explicit Workspaces(HeadLimits limits) noexcept : limits_{limits} {}

  struct GiveBack {
    Workspaces* pool;
    void operator()(Workspace* work) const noexcept { pool->take_back(work); }
  };
  using Lease = std::unique_ptr<Workspace, GiveBack>;
  Lease lend();
  std::size_t lent() const noexcept { return lent_; }  // how many have not come back

 private:
  void take_back(Workspace* work) noexcept;

  HeadLimits limits_;
  std::size_t lent_ = 0;
  std::vector<std::unique_ptr<Workspace>> free_;
};

}  // namespace procpool::http
