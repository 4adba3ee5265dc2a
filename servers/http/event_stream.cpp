#include "servers/http/event_stream.hpp"

#include <algorithm>
#include <string_view>

#include "ipc/base/error.hpp"

namespace procpool::http {
namespace {

constexpr std::string_view kLineEnds = "\r\n";

void append_field(std::string_view name, std::string_view value, std::string& out) {
  out.append(name).append(": ").append(value).append("\n");
}

void append_word(std::string_view name, std::string_view value, std::string& out) {
  if (value.empty()) return;
  if (value.find_first_of(std::string_view{"\r\n\0", 3}) != value.npos)
    throw Error{"send", "event", "its " + std::string{name} + " has a line's end or a NUL"};
  append_field(name, value, out);
}

// CRLF, CR and LF all end a line.
void append_data(std::string_view data, std::string& out) {
  for (;;) {
    const auto end = std::min(data.find_first_of(kLineEnds), data.size());
    append_field("data", data.substr(0, end), out);
    if (end == data.size()) return;
    data.remove_prefix(data.substr(end).starts_with(kLineEnds) ? end + 2 : end + 1);
  }
}

}  // namespace

void append_event(const Event& event, std::string& out) {
  append_word("event", event.type, out);
  append_word("id", event.id, out);
  if (event.retry) append_field("retry", std::to_string(event.retry->count()), out);
  if (!event.data.empty()) append_data(event.data, out);
  out.append("\n");
}

}  // namespace procpool::http
