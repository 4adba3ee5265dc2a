#include "servers/http/detail/live_html.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "servers/http/html.hpp"

namespace procpool::http {
namespace {

std::string decimal_text(double number, int digits) {
  std::array<char, 32> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number,
                                 std::chars_format::fixed, digits)
                       .ptr;
  return {text.data(), end};
}

std::string bytes_text(std::uint64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes).append(" B");
  constexpr std::array kUnits{" KiB", " MiB", " GiB", " TiB"};
  double amount = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; amount >= 1024 && unit + 1 < kUnits.size(); ++unit) amount /= 1024;
  return decimal_text(amount, 1).append(kUnits[unit]);
}

// In the largest unit that fits, and the one below it.
std::string duration_text(std::uint64_t seconds) {
  struct Unit {
    std::uint64_t seconds;
    const char* name;
  };
  constexpr std::array<Unit, 4> kUnits{{{86400, " d"}, {3600, " h"}, {60, " min"}, {1, " s"}}};
  std::size_t unit = 0;
  while (unit + 1 < kUnits.size() && seconds < kUnits[unit].seconds) ++unit;
  std::string text = std::to_string(seconds / kUnits[unit].seconds).append(kUnits[unit].name);
  if (unit + 1 == kUnits.size()) return text;
  const std::uint64_t rest = seconds % kUnits[unit].seconds / kUnits[unit + 1].seconds;
  return text.append(" ").append(std::to_string(rest)).append(kUnits[unit + 1].name);
}

std::string workers_text(std::size_t count) {
  return std::to_string(count).append(count == 1 ? " worker" : " workers");
}

std::string text_of(const StatusDocument& value, std::string_view format) {
  if (value.is_null()) return format == "ago" ? "never" : "–";
  if (format == "number") return number_text(value.get<std::uint64_t>());
  if (format == "bytes") return bytes_text(value.get<std::uint64_t>());
  if (format == "duration") return duration_text(value.get<std::uint64_t>());
  if (format == "ago") return duration_text(value.get<std::uint64_t>()).append(" ago");
  if (format == "latency") return latency_text(value.get<double>());
  if (format == "percent") return decimal_text(100 * value.get<double>(), 1).append(" %");
  if (format == "busy") return value.get<bool>() ? "busy" : "idle";
  if (format == "workers") return workers_text(value.size());
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// Only what differs is replaced: a selection elsewhere, or a place scrolled to, stays.
constexpr std::string_view kScript = R"js(
function update(shown, fresh) {
  if (shown.isEqualNode(fresh)) return;
  const before = [...shown.childNodes], after = [...fresh.childNodes];
  const alike = before.length === after.length && shown.cloneNode().isEqualNode(fresh.cloneNode());
  if (alike) before.forEach((node, i) => update(node, after[i]));
  else shown.replaceWith(fresh);
}

async function refresh() {
  let lost = false;
  try {
    const answer = await fetch(location.href, {cache: 'no-store', signal: AbortSignal.timeout(5000)});
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    update(document.querySelector('main'), page.querySelector('main'));
  } catch {
    lost = true;
  }
  document.body.classList.toggle('lost', lost);
  setTimeout(refresh, 1000);
}

setTimeout(refresh, 1000);
)js";

constexpr std::string_view kStyle = R"css(
:root {
  color-scheme: light dark;
  --ground: #f5f6f8; --card: #fff; --ink: #1b2430; --soft: #5b6777; --line: #dde2e8;
  --accent: #3457d5; --ready: #14804a; --starting: #1769aa; --draining: #a15c00; --alarm: #b3261e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #11161d; --card: #1a212b; --ink: #e6ebf1; --soft: #97a3b3; --line: #2d3743;
    --accent: #8ea6ff; --ready: #4cc38a; --starting: #63b3ed; --draining: #f0b04f; --alarm: #ff8a80;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
}
header, main { max-width: 74rem; margin: auto; padding: 0 1.25rem; }
header {
  display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: center;
  padding-top: 1.25rem; padding-bottom: 1.25rem;
}
header strong { display: flex; align-items: center; gap: .5rem; margin-right: auto; }
header svg { width: 1.6rem; height: 1.6rem; fill: var(--accent); }
main { padding-bottom: 4rem; }
a { color: var(--accent); }
header a { text-decoration: none; }
@media (max-width: 34rem) { header { column-gap: .8rem; font-size: .9rem; } }
header a:hover { text-decoration: underline; }
h1 { font-size: clamp(1.6rem, 4.5vw, 2.4rem); line-height: 1.2; margin: 1.25rem 0 .75rem; letter-spacing: -.015em; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .9rem; }
code { font: .92em ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
[data-state] .state { color: var(--ready); }
[data-state=starting] .state { color: var(--starting); }
[data-state=draining] .state { color: var(--draining); }
.notice { display: none; margin: 0; padding: .6rem 1.25rem; background: var(--alarm); color: var(--ground); text-align: center; }
.lost .notice { display: block; }
.lost main { opacity: .55; }
)css";

// One process above, four below.
constexpr std::string_view kShapes =
    "<rect x='9' y='3' width='14' height='9' rx='2'/>"
    "<path d='M15 12h2v4h12v4h-2v-2h-6v2h-2v-2h-6v2h-2v-2H5v2H3v-4h12z'/>"
    "<rect x='1' y='20' width='6' height='9' rx='2'/><rect x='9' y='20' width='6' height='9' "
    "rx='2'/>"
    "<rect x='17' y='20' width='6' height='9' rx='2'/><rect x='25' y='20' width='6' height='9' "
    "rx='2'/>";

void append_attribute(std::string_view name, std::string_view value, std::string& out) {
  out.append(" ").append(name).append("=\"");
  append_escaped_html(value, out);
  out.append("\"");
}

}  // namespace

std::string number_text(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, 1, ',');
  return text;
}

std::string latency_text(double seconds) {
  constexpr std::array kUnits{" µs", " ms", " s"};
  double amount = seconds * 1e6;
  std::size_t unit = 0;
  for (; amount >= 1000 && unit + 1 < kUnits.size(); ++unit) amount /= 1000;
  return decimal_text(amount, amount < 10 ? 1 : 0).append(kUnits[unit]);
}

LivePage::LivePage(const StatusDocument& status, const LivePageOptions& options) : status_{status} {
  html_.append("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
      .append("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n")
      .append("<title>")
      .append(options.title)
      .append("</title>\n<link rel=\"icon\" href=\"data:image/svg+xml,")
      .append("<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32' fill='royalblue'>")
      .append(kShapes)
      .append("</svg>\">\n")
      .append(options.head)
      .append("<style>")
      .append(kStyle)
      .append(options.style)
      .append("</style>\n</head>\n<body>\n")
      .append("<p class=\"notice\" role=\"status\">The server does not answer any more. ")
      .append("What you see is how it was.</p>\n")
      .append("<header><strong><svg viewBox=\"0 0 32 32\" aria-hidden=\"true\">")
      .append(kShapes)
      .append("</svg>procpool-httpd</strong><a href=\"/\">Welcome</a>")
      .append("<a href=\"/status\">Status</a><a href=\"/status.json\">JSON</a>")
      .append("<a href=\"/metrics\">Metrics</a></header>\n<main>\n");
}

void LivePage::add(std::string_view text) {
  expand(text, status_);
}

void LivePage::add_workers(std::string_view list, std::string_view item, std::string_view text) {
  html_.append("<").append(list).append(">\n");
  for (const StatusDocument& worker : status_.at("workers")) {
    const bool answered = worker.at("pid") == status_.at("answered_by");
    html_.append("<").append(item);
    append_attribute("data-state", worker.at("state").get<std::string>(), html_);
    append_attribute("data-busy", worker.at("busy").dump(), html_);
    append_attribute("data-answered", answered ? "true" : "false", html_);
    html_.append(">");
    expand(text, worker);
    html_.append("</").append(item).append(">\n");
  }
  html_.append("</").append(list).append(">\n");
}

void LivePage::add_each(const StatusDocument& array, std::string_view text) {
  for (const StatusDocument& element : array) expand(text, element);
}

std::string LivePage::finish() && {
  html_.append("</main>\n<script>").append(kScript).append("</script>\n</body>\n</html>\n");
  return std::move(html_);
}

void LivePage::expand(std::string_view text, const StatusDocument& values) {
  for (;;) {
    const std::size_t open = text.find("{{");
    html_.append(text.substr(0, open));
    if (open == std::string_view::npos) return;
    const std::size_t close = text.find("}}", open);
    const std::string_view place = text.substr(open + 2, close - open - 2);
    const std::size_t space = std::min(place.find(' '), place.size());
    const std::string pointer{place.substr(0, space)};
    const std::string_view format = place.substr(std::min(space + 1, place.size()));
    const auto value = values.value(StatusDocument::json_pointer{pointer}, StatusDocument{});
    append_escaped_html(text_of(value, format), html_);
    text.remove_prefix(close + 2);
  }
}

}  // namespace procpool::http
