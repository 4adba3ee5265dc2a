#include "tools/server_demo/compare_advice.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

#include "tools/server_demo/compare_table.hpp"
#include "tools/text.hpp"

namespace procpool::server_demo {
namespace {

using demo::text;

// Closer figures are called the same: a machine is never quiet.
constexpr double kSame = 0.9;

using Names = std::vector<std::string>;

std::string joined(const Names& names) {
  std::string list;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) list += i + 1 == names.size() ? " and " : ", ";
    list += names[i];
  }
  return list;
}

// Of the models that stand for themselves, those that were measured with a load.
std::vector<const Cell*> cells_at(const Comparison& measured, Load load, Work work,
                                  unsigned connections) {
  std::vector<const Cell*> cells;
  for (const Model* model : measured.models) {
    const Cell* cell = measured.find({model, load, work, connections});
    if (cell != nullptr && cell->measured() && !model->is_variant) cells.push_back(cell);
  }
  return cells;
}

Names names_of(const std::vector<const Cell*>& cells,
               const std::function<bool(const Cell&)>& wanted) {
  Names names;
  for (const Cell* cell : cells) {
    if (wanted(*cell)) names.emplace_back(cell->model->name);
  }
  return names;
}

std::string sentence(const std::string& begin, const Names& names) {
  return names.empty() ? std::string{} : text(" ", begin, " ", joined(names), ".");
}

// Who answers most, of those who leave nobody without an answer.
std::string most_answers(std::vector<const Cell*> cells) {
  if (cells.empty()) return "Not measured.";
  std::ranges::sort(cells, std::greater{}, &Cell::per_second);
  std::vector<const Cell*> fair;
  std::ranges::copy_if(cells, std::back_inserter(fair),
                       [](const Cell* cell) { return !cell->starves(); });
  const Names starving = names_of(cells, [](const Cell& cell) { return cell.starves(); });
  if (fair.empty()) {
    return "No model had an answer for every client in that time." +
           text(" Most answers: ", cells.front()->model->name, ", ",
                demo::with_prefix(cells.front()->per_second), " a second.");
  }
  const Cell& best = *fair.front();
  const auto is_as_good = [&](const Cell& cell) {
    return &cell != &best && cell.per_second >= kSame * best.per_second;
  };
  std::string answer =
      text(best.model->name, " answers most: ", demo::with_prefix(best.per_second), " a second.");
  answer += sentence("Within a tenth of that:", names_of(fair, is_as_good));
  const Cell& least = *fair.back();
  if (least.per_second < kSame * best.per_second) {
    answer +=
        text(" The least: ", least.model->name, ", ", demo::with_prefix(least.per_second), ".");
  }
  return answer + sentence("Some clients were left without an answer by", starving);
}

std::string soonest_answers(std::vector<const Cell*> cells) {
  std::erase_if(cells, [](const Cell* cell) { return cell->starves() || !cell->latency_99; });
  if (cells.empty()) return "No model had an answer for every client in that time.";
  std::ranges::sort(cells, {}, [](const Cell* cell) { return *cell->latency_99; });
  const auto told = [](const Cell& cell) {
    return text(cell.model->name, " (p50 ", time_text(cell.latency_50), ", p99 ",
                time_text(cell.latency_99), ")");
  };
  std::string answer = text("The p99 is shortest with ", told(*cells.front()));
  if (cells.size() > 1) answer += text(", longest with ", told(*cells.back()));
  return answer + ".";
}

// The fewest connections of which as many ask as of the most.
unsigned fewest_with_as_many_asking(const Comparison& measured) {
  const auto asking = [](unsigned size) { return asking_of(Load::mostly_idle, size); };
  return *std::ranges::find(measured.connections, asking(measured.connections.back()), asking);
}

std::string growth(const Comparison& measured, unsigned few, unsigned many) {
  std::vector<std::pair<double, std::string_view>> ratios;
  for (const Model* model : measured.models) {
    const Cell* before = measured.find({model, Load::mostly_idle, Work::waits, few});
    const Cell* after = measured.find({model, Load::mostly_idle, Work::waits, many});
    if (model->is_variant || before == nullptr || after == nullptr) continue;
    if (!before->processor_time || !after->processor_time || after->starves()) continue;
    ratios.emplace_back(
        static_cast<double>(after->processor_time->count()) /
            static_cast<double>(std::max<std::int64_t>(before->processor_time->count(), 1)),
        model->name);
  }
  std::ranges::sort(ratios);
  Names told;
  for (const auto& [ratio, name] : ratios) {
    told.push_back(text(name, " ", demo::fixed(ratio, 1)));
  }
  if (told.empty()) return "No model was measured with both.";
  return text("The processor time of a request, as a multiple of that with ", few,
              " connections: ", joined(told), ". What stays near 1 does not care who is idle.");
}

std::string memory(const Comparison& measured) {
  std::vector<std::pair<double, std::string_view>> costs;
  for (const Model* model : measured.models) {
    const auto cost = bytes_a_connection(measured, *model);
    if (cost && !model->is_variant) costs.emplace_back(*cost, model->name);
  }
  std::ranges::sort(costs);
  Names told;
  for (const auto& [bytes, name] : costs) told.push_back(text(name, " ", memory_text(bytes)));
  return told.empty() ? "No model served all clients at two sizes."
                      : text("One connection more occupies: ", joined(told), ".");
}

// How much the ways of accepting differ, within one family.
std::string strategies(const Comparison& measured, Family family, unsigned connections) {
  std::vector<const Cell*> cells;
  for (const Model* model : measured.models) {
    const Cell* cell = measured.find({model, Load::short_lived, Work::computes, connections});
    if (model->family == family && model->has_workers && cell != nullptr && cell->measured()) {
      cells.push_back(cell);
    }
  }
  if (cells.size() < 2) return {};
  std::ranges::sort(cells, std::greater{}, &Cell::per_second);
  const auto& [best, least] = std::pair{*cells.front(), *cells.back()};
  if (least.per_second >= kSame * best.per_second) {
    return text(" Of ", best.model->name, " and its kin none is a tenth better than another (",
                demo::with_prefix(least.per_second), " to ", demo::with_prefix(best.per_second),
                " a second).");
  }
  return text(" ", best.model->name, " answers most, ", demo::with_prefix(best.per_second),
              " a second; ", least.model->name, " least, ", demo::with_prefix(least.per_second),
              ".");
}

}  // namespace

std::optional<double> bytes_a_connection(const Comparison& measured, const Model& model) {
  const Cell* fewest = nullptr;
  const Cell* most = nullptr;
  for (const unsigned size : measured.connections) {
    const Cell* cell = measured.find({&model, Load::keep_alive, Work::waits, size});
    if (cell == nullptr || !cell->measured() || cell->served < size) continue;
    if (fewest == nullptr) fewest = cell;
    most = cell;
  }
  if (fewest == most) return std::nullopt;
  return (static_cast<double>(most->memory) - static_cast<double>(fewest->memory)) /
         static_cast<double>(most->connections - fewest->connections);
}

std::vector<Advice> advice_of(const Comparison& measured) {
  const unsigned typical = typical_connections(measured);
  const unsigned most = measured.connections.back();
  const unsigned few = fewest_with_as_many_asking(measured);
  std::vector<Advice> all;
  const auto ask_who = [&](Load load, Work work, unsigned size) {
    all.push_back({text(size, " ", name_of(load), " clients, ", name_of(work)),
                   most_answers(cells_at(measured, load, work, size))});
  };
  ask_who(Load::short_lived, Work::computes, typical);
  ask_who(Load::short_lived, Work::waits, typical);
  ask_who(Load::keep_alive, Work::computes, typical);
  ask_who(Load::keep_alive, Work::waits, typical);
  if (most != typical) ask_who(Load::keep_alive, Work::waits, most);
  all.push_back({text("Answers soon: ", typical, " keep-alive clients, CPU-bound"),
                 soonest_answers(cells_at(measured, Load::keep_alive, Work::computes, typical))});
  if (few != most) {
    all.push_back(
        {text("Many who are connected and say nothing: ", most), growth(measured, few, most)});
  }
  all.push_back({"Little memory", memory(measured)});
  const std::string accepting = strategies(measured, Family::threads, typical) +
                                strategies(measured, Family::processes, typical);
  if (!accepting.empty()) {
    all.push_back({text("Ways to accept: ", typical, " short-lived clients, CPU-bound"),
                   accepting.substr(1)});
  }
  return all;
}

}  // namespace procpool::server_demo
