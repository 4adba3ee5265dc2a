// Server-Sent Events: what a browser's EventSource reads.
//
//   std::string out;
//   append_event(Event{"21.5", "7", "temperature"}, out);
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>

namespace procpool::http {

// A value. What is empty is not sent; an event without data is not seen, but its id and retry are.
struct Event {
  // No aggregate: gcc 12 destroys the members of one that is made in a co_yield twice.
  explicit Event(std::string its_data, std::string its_id = {}, std::string its_type = {},
                 std::optional<std::chrono::milliseconds> retry_after = {})
      : data{std::move(its_data)},
        id{std::move(its_id)},
        type{std::move(its_type)},
        retry{retry_after} {}

  std::string data;  // UTF-8; any number of lines
  std::string id;    // comes back as Last-Event-ID when the client connects again
  std::string type;  // what addEventListener() is called with; empty: "message"
  std::optional<std::chrono::milliseconds> retry;  // the client connects again after so long
};

// The HTML standard, §9.2 (html.spec.whatwg.org/multipage/server-sent-events.html). Throws Error: a
// line's end in the type or the id, or a NUL in the id.
void append_event(const Event& event, std::string& out);

}  // namespace procpool::http
