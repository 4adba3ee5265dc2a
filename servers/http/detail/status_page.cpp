#include "servers/http/detail/status_page.hpp"

#include <string_view>

#include "servers/http/detail/live_html.hpp"

namespace procpool::http {
namespace {

constexpr std::string_view kStyle = R"css(
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .75rem; margin: 0; }
.facts div { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: .7rem .9rem; }
dt { font-size: .85rem; color: var(--soft); }
dd { margin: 0; font-size: 1.3rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
dd small { display: block; font-size: .85rem; color: var(--soft); }
.facts + .facts { grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); margin-top: .75rem; }
.facts + .facts dd { font-size: 1rem; }
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
<div><dt>Reloads</dt><dd>{{/master/reloads number}}</dd></div>
<div><dt>Restarts</dt><dd>{{/master/restarts number}}</dd></div>
</dl>
<dl class="facts">
<div><dt>Last reload</dt><dd>{{/master/last_reload_age_seconds ago}}
<small>{{/master/last_reload_result}}</small></dd></div>
<div><dt>Last death of a worker</dt><dd>{{/master/last_death}}</dd></div>
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
    {"Slot", "right", "{{/slot}}"},
    {"PID", "right", "{{/pid}}"},
    {"Generation", "right", "{{/generation}}"},
    {"State", "state", "{{/state}}"},
    {"Now", "busy", "{{/busy busy}}"},
    {"Uptime", "right", "{{/uptime_seconds duration}}"},
    {"Connections", "right", "{{/connections number}}"},
    {"Accepted", "right", "{{/accepted number}}"},
    {"Requests", "right", "{{/requests number}}"},
    {"Sent", "right", "{{/bytes bytes}}"},
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

}  // namespace

std::string render_status_page(const StatusDocument& status) {
  LivePage page{status,
                {.title = "procpool-httpd: status", .style = kStyle, .head = kWithoutScript}};
  page.add(kMaster);
  page.add(table_head());
  page.add_workers("tbody", "tr", table_row());
  page.add("</table>\n</div>\n");
  return std::move(page).finish();
}

}  // namespace procpool::http
