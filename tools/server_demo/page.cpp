#include "tools/server_demo/page.hpp"

#include <array>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "tools/server_demo/compare_advice.hpp"
#include "tools/server_demo/compare_table.hpp"
#include "tools/server_demo/page_chart.hpp"
#include "tools/text.hpp"

namespace procpool::server_demo {
namespace {

using demo::text;

// A family has a colour, and its members differ by the dashes.
constexpr std::string_view kStyle = R"(<style>
  :root { --ink: #1f2328; --soft: #59636e; --grid: #d8dee4; --paper: #ffffff; --card: #f6f8fa;
          --f0: #6e7781; --f1: #bc4c00; --f2: #0550ae; --f3: #116329; --f4: #8250df; }
  @media (prefers-color-scheme: dark) {
    :root { --ink: #e6edf3; --soft: #9198a1; --grid: #30363d; --paper: #0d1117; --card: #161b22;
            --f0: #9198a1; --f1: #ffa657; --f2: #58a6ff; --f3: #56d364; --f4: #d2a8ff; } }
  body { color: var(--ink); background: var(--paper); font: 16px/1.5 system-ui, sans-serif;
         margin: 0 auto; padding: 1rem; max-width: 84rem; }
  h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.2rem; }
  p, li, dd { max-width: 48rem; } .soft { color: var(--soft); }
  .grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 23rem), 1fr));
          gap: 1.5rem; }
  .legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; font-size: .85rem; padding: .5rem 0; }
  @media (min-width: 60rem) { .legend { position: sticky; top: 0; background: var(--paper); } }
  .legend span { white-space: nowrap; }
  svg { width: 100%; height: auto; font: 12px system-ui, sans-serif; }
  svg.sample { width: 34px; height: 12px; margin-right: .35rem; }
  svg text { fill: var(--ink); } svg .soft { fill: var(--soft); } svg .title { font-size: 14px; font-weight: 600; }
  svg .grid { stroke: var(--grid); } .end { text-anchor: end; } .middle { text-anchor: middle; }
  svg .line { fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linejoin: round; }
  svg .dot { fill: currentColor; stroke: currentColor; } svg .hollow { fill: var(--paper); }
  svg .bar { fill: currentColor; opacity: .85; }
  svg:has(.series:hover) .series:not(:hover) { opacity: .2; }
  .f0 { color: var(--f0); } .f1 { color: var(--f1); } .f2 { color: var(--f2); }
  .f3 { color: var(--f3); } .f4 { color: var(--f4); }
  .d1 { stroke-dasharray: 6 3; } .d2 { stroke-dasharray: 2 3; } .d3 { stroke-dasharray: 9 3 2 3; }
  .dot { stroke-dasharray: none; }
  .wide { overflow-x: auto; }
  table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
  th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid var(--grid); white-space: nowrap; }
  th:first-child, td:first-child { text-align: left; } td small { color: var(--soft); display: block; }
  summary { cursor: pointer; padding: .35rem 0; } dt { font-weight: 600; margin-top: .7rem; } dd { margin: 0; }
  .advice dt { font-weight: 400; color: var(--soft); }
</style>
)";

// How the lines of a model look: the colour of its family, the dashes by its place there.
std::string look_of(const Model& model) {
  int place = 0;
  for (const Model& other : all_models()) {
    if (&other == &model) break;
    if (other.family == model.family && !other.is_variant) ++place;
  }
  return text("f", static_cast<int>(model.family), " d", place);
}

std::vector<const Model*> drawn_models(const Comparison& measured) {
  std::vector<const Model*> drawn;
  for (const Model* model : measured.models) {
    if (!model->is_variant) drawn.push_back(model);
  }
  return drawn;
}

std::string title_of(Load load, Work work) {
  return text(name_of(load), ", ", name_of(work));
}

using Figure = std::function<std::optional<double>(const Cell&)>;
using Told = std::function<std::string(double)>;

std::optional<double> microseconds(std::optional<std::chrono::nanoseconds> time) {
  if (!time || time->count() <= 0) return std::nullopt;
  return std::chrono::duration<double, std::micro>{*time}.count();
}

std::string told_as_time(double us) {
  return time_text(std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double, std::micro>{us}));
}

// Of a tick: "1 ms" and not "1.00 ms".
std::string round_time(double us) {
  constexpr double kMilli = 1e3;
  constexpr double kSecond = 1e6;
  if (us >= kSecond) return text(demo::fixed(us / kSecond, 0), " s");
  if (us >= kMilli) return text(demo::fixed(us / kMilli, 0), " ms");
  return text(demo::fixed(us, us < 1 ? 1 : 0), " µs");
}

std::string round_rate(double rate) {
  constexpr double kKilo = 1e3;
  if (rate >= kKilo) return text(demo::fixed(rate / kKilo, 0), " k");
  return demo::fixed(rate, rate < 1 ? 1 : 0);
}

std::string tip_of(const Cell& cell, const std::string& figure) {
  std::string tip = text(figure, " with ", cell.connections, " connections");
  if (!cell.starves()) return tip;
  return text(tip, "; ", cell.content().some, " of ", cell.content().all, " clients were served");
}

std::string chart_of(const Comparison& measured, Load load, Work work, const Figure& figure,
                     const Told& told, const Told& on_axis) {
  Chart chart{.title = title_of(load, work), .x = {}, .lines = {}, .y_text = on_axis};
  for (const unsigned size : measured.connections) chart.x.push_back(size);
  for (const Model* model : drawn_models(measured)) {
    ChartLine line{.name = model->name, .look = look_of(*model), .points = {}};
    for (const unsigned size : measured.connections) {
      const Cell* cell = measured.find({model, load, work, size});
      if (cell == nullptr || !cell->measured()) continue;
      const auto value = figure(*cell);
      if (!value || *value <= 0) continue;
      line.points.push_back({.x = static_cast<double>(size),
                             .y = *value,
                             .whole = !cell->starves(),
                             .tip = tip_of(*cell, told(*value))});
    }
    chart.lines.push_back(std::move(line));
  }
  return text("<div>", svg_of(chart), "</div>\n");
}

std::string charts_of(const Comparison& measured, const Figure& figure, const Told& told,
                      const Told& on_axis) {
  std::string charts = "<div class='grid'>\n";
  for (const Work work : kWorks) {
    for (const Load load : kLoads) {
      charts += chart_of(measured, load, work, figure, told, on_axis);
    }
  }
  return charts + "</div>\n";
}

std::string legend(const Comparison& measured) {
  std::string samples = "<div class='legend'>";
  for (const Model* model : drawn_models(measured)) {
    samples += text("<span>", svg_of_sample(look_of(*model)), model->name, "</span>");
  }
  return samples + "</div>\n";
}

std::string heading(std::string_view words) {
  return text("<h2>", words, "</h2>\n");
}

std::string paragraph(std::string_view words) {
  return text("<p>", words, "</p>\n");
}

std::string introduction(const Comparison& measured) {
  return text(
      "<h1>Server models beside each other</h1>\n",
      paragraph(text("The same small protocol (a line comes, and goes back in upper case) served "
                     "in ",
                     measured.models.size(), " ways. ", "<b>I/O-bound</b>: a request waits ",
                     kWaiting.count(),
                     " ms, as for a disk. Coroutines await that, and their loop serves others "
                     "meanwhile; a call-back has no way to wait, so it sleeps, and its whole loop "
                     "with it. <b>CPU-bound</b>: a request takes ",
                     kComputing.count(), " µs of processor time.")),
      paragraph("<b>Short-lived</b> clients connect, ask once, leave, and come again. "
                "<b>Keep-alive</b> clients stay, and ask again when they have their answer. Of "
                "<b>mostly idle</b> clients a tenth asks, ten at most; the others are connected "
                "and say nothing."),
      paragraph(text("Here ", conditions_of(measured.machine),
                     ". One process plays all clients; each case lasts a fraction of a second, "
                     "with a server of its own. On a machine that others use, too, figures differ "
                     "much from run to run. A hollow dot: some clients were not served, "
                     "while others were served again and again.")));
}

std::string advice(const Comparison& measured) {
  std::string list = heading("Which model for what") +
                     paragraph(
                         "<span class='soft'>Computed from the figures of this run. What is "
                         "within a tenth is called the same.</span>") +
                     "<dl class='advice'>\n";
  for (const Advice& one : advice_of(measured)) {
    list += text("<dt>", one.need, "</dt><dd>", one.answer, "</dd>\n");
  }
  return list + "</dl>\n";
}

std::string memory_chart(const Comparison& measured) {
  std::vector<Bar> bars;
  for (const Model* model : drawn_models(measured)) {
    const auto bytes = bytes_a_connection(measured, *model);
    if (!bytes || *bytes <= 0) continue;
    bars.push_back({.name = model->name,
                    .look = look_of(*model),
                    .value = *bytes,
                    .text = memory_text(*bytes)});
  }
  return text("<div>", svg_of("memory of one connection more", bars), "</div>\n");
}

std::string costs(const Comparison& measured) {
  const Figure processor_time = [](const Cell& cell) { return microseconds(cell.processor_time); };
  return text(
      heading("What it costs"), legend(measured),
      paragraph("Processor time of a request, user and system, of the server's whole tree of "
                "processes. What to look for with idle neighbours: select and poll tell the kernel "
                "anew each time who is connected, busy-loop asks each of them, and epoll's kernel "
                "remembers. Memory is the proportional set size of the tree: what processes share "
                "counts once, and what the kernel keeps for them does not count."),
      "<div class='grid'>\n",
      chart_of(measured, Load::mostly_idle, Work::waits, processor_time, told_as_time, round_time),
      chart_of(measured, Load::short_lived, Work::waits, processor_time, told_as_time, round_time),
      memory_chart(measured), "</div>\n");
}

std::string table_cell(const Cell& cell) {
  if (!cell.measured()) return text("<td title='", cell.reason, "'>–</td>");
  const std::string starving = cell.starves() ? text("<small>", cell.content().some, " of ",
                                                     cell.content().all, " clients</small>")
                                              : "";
  return text("<td>", demo::with_prefix(cell.per_second), "<small>p50 ", time_text(cell.latency_50),
              "</small><small>p99 ", time_text(cell.latency_99), "</small>", starving, "</td>");
}

std::string table_of(const Comparison& measured, Load load, Work work) {
  std::string table = "<tr><th>answers a second</th>";
  for (const unsigned size : measured.connections) table += text("<th>", size, "</th>");
  table += "</tr>\n";
  for (const Model* model : measured.models) {
    table += text("<tr><td>", model->name, "</td>");
    for (const unsigned size : measured.connections) {
      const Cell* cell = measured.find({model, load, work, size});
      table += cell == nullptr ? "<td></td>" : table_cell(*cell);
    }
    table += "</tr>\n";
  }
  return text("<details><summary>", title_of(load, work), "</summary><div class='wide'><table>\n",
              table, "</table></div></details>\n");
}

std::string cost_table(const Comparison& measured, Load load, Work work, unsigned connections) {
  std::string table =
      "<tr><th>model</th><th>CPU each</th><th>switches each</th><th>memory</th>"
      "<th>processes</th><th>threads</th></tr>\n";
  for (const Model* model : measured.models) {
    const Cell* cell = measured.find({model, load, work, connections});
    if (cell == nullptr || !cell->measured()) continue;
    table +=
        text("<tr><td>", model->name, "</td><td>", time_text(cell->processor_time), "</td><td>",
             cell->context_switches ? demo::fixed(*cell->context_switches, 2) : "-", "</td><td>",
             memory_text(static_cast<double>(cell->memory)), "</td><td>", cell->processes,
             "</td><td>", cell->threads, "</td></tr>\n");
  }
  return text("<details><summary>", title_of(load, work), ", ", connections,
              " connections: processor time, context switches, memory, processes, threads"
              "</summary><div class='wide'><table>\n",
              table, "</table></div></details>\n");
}

std::string reasons(const Comparison& measured) {
  const std::string list = not_measured(measured, "<li>", "</li>\n");
  return list.empty() ? list : text(paragraph("Not measured:"), "<ul>\n", list, "</ul>\n");
}

std::string tables(const Comparison& measured) {
  std::string all = heading("All figures");
  for (const Work work : kWorks) {
    for (const Load load : kLoads) all += table_of(measured, load, work);
  }
  for (const Work work : kWorks) {
    for (const Load load : kLoads) {
      all += cost_table(measured, load, work, typical_connections(measured));
    }
  }
  return all + reasons(measured);
}

std::string descriptions(const Comparison& measured) {
  std::string list = heading("The models") + "<dl>\n";
  for (const Model* model : measured.models) {
    list += text("<dt>", model->name, "</dt><dd>", model->summary, "</dd>\n");
  }
  return list + "</dl>\n";
}

}  // namespace

std::string page_of(const Comparison& measured) {
  const Figure rate = [](const Cell& cell) { return std::optional{cell.per_second}; };
  const Figure slow = [](const Cell& cell) { return microseconds(cell.latency_99); };
  const auto told_as_rate = [](double value) {
    return demo::with_prefix(value) + " answers a second";
  };
  return text(
      "<!doctype html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
      "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
      "<title>Server models beside each other</title>\n",
      kStyle, "</head>\n<body>\n", introduction(measured), advice(measured),
      heading("Answers a second"), legend(measured),
      charts_of(measured, rate, told_as_rate, round_rate), heading("Latency: the slowest percent"),
      legend(measured),
      paragraph("The p99: 99 of 100 answers came sooner. Of short-lived clients it begins with "
                "their connecting."),
      charts_of(measured, slow, told_as_time, round_time), costs(measured), tables(measured),
      descriptions(measured), "</body>\n</html>\n");
}

}  // namespace procpool::server_demo
