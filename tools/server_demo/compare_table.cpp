#include "tools/server_demo/compare_table.hpp"

#include <cstddef>
#include <map>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "tools/table.hpp"
#include "tools/text.hpp"

namespace procpool::server_demo {
namespace {

using demo::Align;
using demo::Table;
using demo::text;

// Three digits that matter.
std::string three_digits(double value) {
  return demo::fixed(value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
}

std::string rate_text(const Cell& cell) {
  if (!cell.measured()) return "-";
  const std::string rate = demo::with_prefix(cell.per_second);
  return cell.starves() ? text(rate, " (", cell.content().some, "/", cell.content().all, ")")
                        : rate;
}

std::string title_of(Load load, Work work) {
  return text(name_of(load), " clients, ", name_of(work), " handler");
}

std::string rates(const Comparison& measured, Load load, Work work) {
  std::vector<Table::Column> columns{{"answers a second", Align::left}};
  for (const unsigned size : measured.connections) columns.push_back({text(size)});
  Table table{std::move(columns)};
  for (const Model* model : measured.models) {
    std::vector<std::string> row{std::string{model->name}};
    for (const unsigned size : measured.connections) {
      const Cell* cell = measured.find({model, load, work, size});
      row.push_back(cell == nullptr ? "" : rate_text(*cell));
    }
    table.add(std::move(row));
  }
  return text(title_of(load, work), ", by connections\n", table.text(), "\n");
}

std::string details(const Comparison& measured, Load load, Work work, unsigned connections) {
  Table table{{{"", Align::left},
               {"a second"},
               {"p50"},
               {"p99"},
               {"CPU each"},
               {"memory"},
               {"switches each"},
               {"processes"},
               {"threads"}}};
  for (const Model* model : measured.models) {
    const Cell* cell = measured.find({model, load, work, connections});
    if (cell == nullptr || !cell->measured()) continue;
    table.add({std::string{model->name}, rate_text(*cell), time_text(cell->latency_50),
               time_text(cell->latency_99), time_text(cell->processor_time),
               memory_text(static_cast<double>(cell->memory)),
               cell->context_switches ? demo::fixed(*cell->context_switches, 2) : "-",
               text(cell->processes), text(cell->threads)});
  }
  return text(title_of(load, work), ", ", connections, " connections, in full\n", table.text(),
              "\n");
}

nlohmann::json microseconds(std::optional<std::chrono::nanoseconds> time) {
  if (!time) return nullptr;
  return std::chrono::duration<double, std::micro>{*time}.count();
}

nlohmann::json json_of(const Cell& cell) {
  nlohmann::json json{{"model", cell.model->name},
                      {"load", name_of(cell.load)},
                      {"handler", name_of(cell.work)},
                      {"connections", cell.connections}};
  if (!cell.measured()) {
    json["reason"] = cell.reason;
    return json;
  }
  json["served"] = cell.served;
  json["asking"] = cell.asking;
  json["answered"] = cell.answered;
  json["lost"] = cell.lost;
  json["answers"] = cell.answers;
  json["per_second"] = cell.per_second;
  json["latency_p50_us"] = microseconds(cell.latency_50);
  json["latency_p99_us"] = microseconds(cell.latency_99);
  json["cpu_us_each"] = microseconds(cell.processor_time);
  json["context_switches_each"] =
      cell.context_switches ? nlohmann::json(*cell.context_switches) : nullptr;
  json["memory_bytes"] = cell.memory;
  json["processes"] = cell.processes;
  json["threads"] = cell.threads;
  return json;
}

}  // namespace

std::string tables_of(const Comparison& measured) {
  std::string lines;
  for (const Load load : kLoads) {
    for (const Work work : kWorks) lines += rates(measured, load, work);
  }
  for (const Work work : kWorks) {
    lines += details(measured, Load::keep_alive, work, typical_connections(measured));
  }
  return text(lines, "(n/m): only n of the m clients were served, and these again and again.\n",
              not_measured(measured, "  - ", "\n"));
}

std::string not_measured(const Comparison& measured, std::string_view before,
                         std::string_view behind) {
  constexpr std::size_t kMostNamed = 4;
  std::map<std::string, std::set<std::string>> by_reason;
  for (const Cell& cell : measured.cells) {
    if (cell.measured()) continue;
    by_reason[cell.reason].insert(text(cell.model->name, " at ", cell.connections));
  }
  std::string lines;
  for (const auto& [reason, cases] : by_reason) {
    std::string named;
    for (const std::string& one : cases) named += (named.empty() ? "" : ", ") + one;
    if (cases.size() > kMostNamed) named = text(cases.size(), " cases");
    lines += text(before, named, ": ", reason, behind);
  }
  return lines;
}

std::string json_of(const Comparison& measured) {
  nlohmann::json cells = nlohmann::json::array();
  for (const Cell& cell : measured.cells) cells.push_back(json_of(cell));
  const nlohmann::json whole{{"server_cpus", measured.machine.cpus},
                             {"clients_share_cpu", measured.machine.shares_cpu},
                             {"workers", measured.machine.workers},
                             {"load_average", measured.machine.load_average},
                             {"cells", std::move(cells)}};
  constexpr int kIndent = 1;
  return whole.dump(kIndent) + "\n";
}

std::string conditions_of(const Machine& machine) {
  const std::string cpus = text(machine.cpus, machine.cpus == 1 ? " CPU" : " CPUs");
  return text(
      "the server has ", cpus,
      machine.shares_cpu ? ", which it shares with the clients" : ", and the clients another one",
      "; models with workers have ", machine.workers, "; the load average was ",
      machine.load_average, " when it began");
}

std::string time_text(std::optional<std::chrono::nanoseconds> time) {
  if (!time) return "-";
  const double us = std::chrono::duration<double, std::micro>{*time}.count();
  constexpr double kMilli = 1000;
  return us < kMilli ? three_digits(us) + " µs" : three_digits(us / kMilli) + " ms";
}

std::string memory_text(double bytes) {
  constexpr double kKiB = 1024;
  const double kib = bytes / kKiB;
  return kib < kKiB ? three_digits(kib) + " KiB" : three_digits(kib / kKiB) + " MiB";
}

unsigned typical_connections(const Comparison& measured) {
  return measured.connections[(measured.connections.size() - 1) / 2];
}

}  // namespace procpool::server_demo
