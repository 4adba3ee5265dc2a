// HTML that shows values of a status document and, once it is in a browser, keeps showing them.
//
//   LivePage page{status, {.title = "Status"}};
//   page.add("<p>Master {{/master/pid}} runs for {{/master/uptime_seconds duration}}</p>");
//   page.add_workers("ul", "li", "{{/pid}} {{/state}}");
//   return std::move(page).finish();
//
// In a text, "{{pointer}}" or "{{pointer format}}" stands for the value that the JSON pointer
// (RFC 6901) finds, written in that format and escaped. Formats: number (1,234), bytes (1.2 KiB),
// duration (2 min 5 s, of seconds), ago (the same, in the past), latency (1.2 ms, of seconds),
// percent (12.5 %, of a ratio), busy (busy or idle), workers (4 workers, of an array); without one,
// text as it is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "servers/http/detail/status_document.hpp"

namespace procpool::http {

// "85 us", with a micro sign, "1.2 ms" or "3.4 s".
std::string latency_text(double seconds);

// "1,234"
std::string number_text(std::uint64_t number);

struct LivePageOptions {
  std::string_view title;
  std::string_view style;      // CSS of this page alone
  std::string_view head = {};  // further elements of the head
};

// One HTML document with nothing outside it: its style, its icon and its script are inside. The
// script asks for the page itself each second, puts what has changed in the place of what was, and
// says so when nobody answers.
class LivePage {
 public:
  LivePage(const StatusDocument& status, const LivePageOptions& options);

  void add(std::string_view text);

  // An element `list` with one element `item` for each worker, with `text` inside; the pointers are
  // of the worker. An item says in its attributes data-state and data-busy what the worker does,
  // and in data-answered whether it made this answer.
  void add_workers(std::string_view list, std::string_view item, std::string_view text);

  // `text` for each element of an array, which the pointers are of.
  void add_each(const StatusDocument& array, std::string_view text);

  std::string finish() &&;

 private:
  void expand(std::string_view text, const StatusDocument& values);

  const StatusDocument& status_;
  std::string html_;
};

}  // namespace procpool::http
