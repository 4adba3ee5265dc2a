#include "servers/http/detail/status_page.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "servers/http/detail/live_html.hpp"

namespace procpool::http {
namespace {

constexpr std::string_view kStyle = R"css(
header, main { max-width: 92rem; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: .75rem; margin: 0; }
.facts div { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: .7rem .9rem; }
dt { font-size: .85rem; color: var(--soft); }
dd { margin: 0; font-size: 1.3rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
dd small { display: block; font-size: .85rem; color: var(--soft); }
.facts + .facts { grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); margin-top: .75rem; }
.facts + .facts dd { font-size: 1rem; }
.restarts { margin: 0; padding: 0; list-style: none; }
.restarts small { display: inline; margin-left: .4rem; }
.bars {
  display: flex; align-items: flex-end; gap: .35rem; height: 11rem; padding: .9rem .9rem .6rem; margin: 0;
  background: var(--card); border: 1px solid var(--line); border-radius: 12px; list-style: none;
}
.bars li {
  flex: 1 1 0; max-width: 5rem; height: 100%; display: flex; flex-direction: column; justify-content: flex-end;
  text-align: center; font-size: .75rem; color: var(--soft); white-space: nowrap; font-variant-numeric: tabular-nums;
}
.bars i { display: block; min-height: 1px; margin: .1rem 0 .3rem; border-radius: 4px 4px 0 0; background: var(--accent); }
.table { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .5rem .55rem; text-align: left; white-space: nowrap; }
th { font-weight: 500; font-size: .85rem; color: var(--soft); }
td { border-top: 1px solid var(--line); }
.right { text-align: right; }
td.text { white-space: normal; overflow-wrap: anywhere; min-width: 9rem; max-width: 26rem; }
td.text span { font: .92em ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
tr[data-busy=true] .busy { color: var(--accent); }
tr[data-busy=false] .busy { color: var(--soft); }
@media (max-width: 46rem) {
  .table { background: none; border: 0; }
  table, tbody { display: block; }
  thead { display: none; }
  tr {
    display: grid; grid-template-columns: 1fr 1fr; gap: .2rem 1rem; margin-bottom: .75rem; padding: .8rem .9rem;
    background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  }
  td, td.right { border: 0; padding: 0; text-align: left; white-space: normal; overflow-wrap: anywhere; }
  td::before { content: attr(data-title) ": "; color: var(--soft); }
  td.text { grid-column: span 2; max-width: none; }
}
)css";

constexpr std::string_view kWithoutScript =
    "<noscript><meta http-equiv=\"refresh\" content=\"2\"></noscript>\n";

constexpr std::string_view kMaster = R"html(
<h1>Master {{/master/pid}} and its {{/workers workers}}</h1>
<dl class="facts">
<div><dt>Uptime</dt><dd>{{/master/uptime_seconds duration}}</dd></div>
<div><dt>Requests</dt><dd>{{/master/requests number}}</dd></div>
<div><dt>Sent</dt><dd>{{/master/bytes bytes}}</dd></div>
<div><dt>Generation</dt><dd>{{/master/generation}}</dd></div>
<div><dt>Latency, median</dt><dd>{{/master/latency/p50_seconds latency}}</dd></div>
<div><dt>90 % within</dt><dd>{{/master/latency/p90_seconds latency}}</dd></div>
<div><dt>99 % within</dt><dd>{{/master/latency/p99_seconds latency}}</dd></div>
<div><dt>Reloads</dt><dd>{{/master/reloads number}}</dd></div>
<div><dt>Restarts</dt><dd>{{/master/restarts number}}</dd></div>
</dl>
<dl class="facts">
<div><dt>Last reload</dt><dd>{{/master/last_reload_age_seconds ago}}
<small>{{/master/last_reload_result}}</small></dd></div>
<div><dt>Last restarts</dt><dd>)html";

constexpr std::string_view kRestart =
    R"html(<li>{{/cause}} <small>process {{/pid}}, {{/age_seconds ago}}</small></li>
)html";

constexpr std::string_view kWorkers = R"html(</dd></div>
</dl>
<h2>Workers</h2>
<div class="table">
)html";

struct Column {
  std::string_view title;
  std::string_view kind;  // a class of kStyle
  std::string_view text;
};

constexpr Column kColumns[] = {
    {"PID", "right", "{{/pid}}"},
    {"Generation", "right", "{{/generation}}"},
    {"State", "state", "{{/state}}"},
    {"Now", "busy", "{{/busy busy}}"},
    {"Uptime", "right", "{{/uptime_seconds duration}}"},
    {"Connections", "right", "{{/connections number}}"},
    {"Requests", "right", "{{/requests number}}"},
    {"Sent", "right", "{{/bytes bytes}}"},
    {"Latency p50", "right", "{{/latency/p50_seconds latency}}"},
    {"p90", "right", "{{/latency/p90_seconds latency}}"},
    {"p99", "right", "{{/latency/p99_seconds latency}}"},
    {"Memory", "right", "{{/rss_bytes bytes}}"},
    {"CPU", "right", "{{/cpu_ratio percent}}"},
    {"CPU time", "right", "{{/cpu_seconds duration}}"},
    {"Last request", "text", "<span>{{/last_request}}</span>"},
    {"Client", "", "{{/last_client}}"},
};

std::string table_head() {
  std::string html{"<table>\n<thead><tr>"};
  for (const Column& column : kColumns) {
    html.append("<th class=\"").append(column.kind).append("\">");
    html.append(column.title).append("</th>");
  }
  return html.append("</tr></thead>\n");
}

std::string table_row() {
  std::string html;
  for (const Column& column : kColumns) {
    html.append("<td class=\"").append(column.kind);
    html.append("\" data-title=\"").append(column.title).append("\">");
    html.append(column.text).append("</td>");
  }
  return html;
}

// A bar for each octave from the first to the last that has any.
std::string bars(const StatusDocument& latency) {
  const StatusDocument& buckets = latency.at("buckets");
  if (buckets.empty()) return {};
  std::uint64_t most = 0;
  for (const auto& [name, count] : buckets.items())
    most = std::max(most, count.get<std::uint64_t>());
  std::string html{"<h2>Latency</h2>\n<ul class=\"bars\">\n"};
  std::size_t left = buckets.size();
  for (std::size_t octave = 0; left > 0; ++octave) {
    const std::string name = name_of_octave(octave);
    const auto count = buckets.value(name, std::uint64_t{0});
    if (count == 0 && left == buckets.size()) continue;
    if (count != 0) --left;
    html.append("<li>").append(number_text(count));
    html.append("<i style=\"height: ").append(std::to_string(80 * count / most)).append("%\"></i>");
    html.append(name == "+Inf" ? "more" : "≤ " + latency_text(std::stod(name))).append("</li>\n");
  }
  return html.append("</ul>\n");
}

}  // namespace

std::string render_status_page(const StatusDocument& status) {
  LivePage page{status,
                {.title = "procpool-httpd: status", .style = kStyle, .head = kWithoutScript}};
  page.add(kMaster);
  const StatusDocument& restarts = status.at("master").at("last_restarts");
  page.add(restarts.empty() ? "none" : "<ul class=\"restarts\">\n");
  page.add_each(restarts, kRestart);
  if (!restarts.empty()) page.add("</ul>\n");
  page.add(kWorkers);
  page.add(table_head());
  page.add_workers("tbody", "tr", table_row());
  page.add("</table>\n</div>\n");
  page.add(bars(status.at("master").at("latency")));
  return std::move(page).finish();
}

}  // namespace procpool::http
