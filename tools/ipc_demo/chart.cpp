// The chart of compare: what is where is computed here, how it looks is said by a style sheet.
#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "tools/ipc_demo/compare.hpp"
#include "tools/log_axis.hpp"
#include "tools/table.hpp"
#include "tools/text.hpp"

namespace procpool::demo {
namespace {

constexpr double kWidth = 1180;
constexpr double kHeight = 560;

// A family has one colour; ours are drawn solid, and what they stand beside dashed.
constexpr std::string_view kStyle = R"(<style>
  svg { --ink: #1f2328; --soft: #59636e; --grid: #d8dee4; --paper: #ffffff;
        --c0: #0550ae; --c1: #8250df; --c2: #cf222e; --c3: #bc4c00; --c4: #116329; --c5: #1b7c83;
        --c6: #9a6700; --c7: #6e7781;
        font: 13px system-ui, sans-serif; }
  @media (prefers-color-scheme: dark) {
    svg { --ink: #e6edf3; --soft: #9198a1; --grid: #30363d; --paper: #0d1117;
          --c0: #58a6ff; --c1: #bc8cff; --c2: #ff7b72; --c3: #ffa657; --c4: #56d364; --c5: #39c5cf;
          --c6: #e3b341; --c7: #9198a1; } }
  .paper { fill: var(--paper); } text { fill: var(--ink); } .soft { fill: var(--soft); }
  .title { font-size: 16px; font-weight: 600; } .grid { stroke: var(--grid); }
  .end { text-anchor: end; } .middle { text-anchor: middle; }
  .line { fill: none; stroke: currentColor; stroke-width: 2.2; }
  .theirs { stroke-dasharray: 6 4; stroke-width: 1.6; }
  .dot { fill: currentColor; } .dot.theirs { fill: var(--paper); stroke: currentColor; stroke-dasharray: none; }
  .f0 { color: var(--c0); } .f1 { color: var(--c1); } .f2 { color: var(--c2); } .f3 { color: var(--c3); }
  .f4 { color: var(--c4); } .f5 { color: var(--c5); } .f6 { color: var(--c6); } .f7 { color: var(--c7); }
</style>
)";

// "1", "10 k", "1 G"
std::string power_of_ten(double value) {
  constexpr std::array<std::string_view, 5> kPrefixes{"", "k", "M", "G", "T"};
  const auto exponent = static_cast<std::size_t>(std::lround(std::log10(value)));
  return text(fixed(std::pow(10, exponent % 3), 0), " ", kPrefixes.at(exponent / 3));
}

std::string label(double x, double y, std::string_view classes, std::string_view words) {
  return text("<text x='", x, "' y='", y, "' class='", classes, "'>", words, "</text>\n");
}

std::string line(double x1, double y1, double x2, double y2, std::string_view classes) {
  return text("<line x1='", x1, "' y1='", y1, "' x2='", x2, "' y2='", y2, "' class='", classes,
              "'/>\n");
}

std::string class_of(const Comparison& row, std::string_view shape) {
  return text(shape, row.ours ? " f" : " theirs f", row.family);
}

std::string dot(double x, double y, const Comparison& row) {
  return text("<circle cx='", x, "' cy='", y, "' r='3.6' class='", class_of(row, "dot"), "'/>\n");
}

double bytes_a_second(const Comparison& row, std::size_t size) {
  return static_cast<double>(kSizes.at(size)) * 1e9 / row.ns_each.at(size).value();
}

std::string throughput(const std::vector<Comparison>& rows, double left, double right, double top,
                       double bottom) {
  std::vector<double> rates;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < kSizes.size(); ++i) {
      if (row.ns_each.at(i)) rates.push_back(bytes_a_second(row, i));
    }
  }
  const auto [least, most] = std::ranges::minmax(rates);
  const LogAxis y = whole_decades(least, most, bottom, top);
  const LogAxis x{.least = static_cast<double>(kSizes.front()),
                  .most = static_cast<double>(kSizes.back()),
                  .from = left,
                  .to = right};
  std::string picture = label(left, top - 40, "title", "One way: bytes a second, by message size");
  for (const double rate : y.powers_of_ten()) {
    picture += line(left, y.at(rate), right, y.at(rate), "grid");
    picture += label(left - 8, y.at(rate) + 4, "soft end", power_of_ten(rate) + "B");
  }
  for (const std::size_t size : kSizes) {
    const double at = x.at(static_cast<double>(size));
    picture += line(at, top, at, bottom, "grid");
    picture += label(at, bottom + 20, "soft middle", size_text(size));
  }
  for (const auto& row : rows) {
    std::string points;
    std::string dots;
    for (std::size_t i = 0; i < kSizes.size() && row.ns_each.at(i); ++i) {
      const double at = x.at(static_cast<double>(kSizes.at(i)));
      const double height = y.at(bytes_a_second(row, i));
      points += text(at, ",", height, " ");
      dots += dot(at, height, row);
    }
    picture +=
        text("<polyline points='", points, "' class='", class_of(row, "line"), "'/>\n", dots);
  }
  return picture;
}

// One line a mechanism, which serves as the legend as well.
std::string round_trips(const std::vector<Comparison>& rows, double left, double right, double top,
                        double bottom) {
  constexpr double kNames = 210;
  std::vector<double> times;
  times.reserve(rows.size());
  for (const auto& row : rows) times.push_back(row.ns_round_trip / 1000);
  const auto [least, most] = std::ranges::minmax(times);
  const LogAxis x = whole_decades(least, most, left + kNames, right - 60);
  std::string picture = label(left, top - 40, "title", "There and back: 64 bytes, µs");
  for (const double time : x.powers_of_ten()) {
    picture += line(x.at(time), top, x.at(time), bottom, "grid");
    picture += label(x.at(time), bottom + 20, "soft middle", fixed(time, time < 1 ? 1 : 0));
  }
  const double step = (bottom - top) / static_cast<double>(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const double y = top + step * (static_cast<double>(i) + 0.5);
    picture += line(left, y, left + 28, y, class_of(rows[i], "line"));
    picture += dot(left + 14, y, rows[i]);
    picture += label(left + 36, y + 4, "", rows[i].name);
    picture += line(x.from, y, x.at(times[i]), y, class_of(rows[i], "line"));
    picture += dot(x.at(times[i]), y, rows[i]);
    picture += label(x.at(times[i]) + 9, y + 4, "soft", fixed(times[i], times[i] < 10 ? 2 : 0));
  }
  return picture;
}

}  // namespace

std::string svg_of(const std::vector<Comparison>& rows) {
  constexpr double kTop = 96;
  constexpr double kBottom = kHeight - 48;
  return text("<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 ", kWidth, " ", kHeight,
              "' role='img'>\n<title>From one process to another</title>\n", kStyle,
              "<rect width='100%' height='100%' class='paper'/>\n",
              label(24, 30, "soft",
                    "solid: procpool; dashed, in the same colour: what it stands beside. Both axes "
                    "are logarithmic."),
              throughput(rows, 84, 640, kTop, kBottom),
              round_trips(rows, 690, kWidth - 10, kTop, kBottom), "</svg>\n");
}

}  // namespace procpool::demo
