// Charts as inline SVG: what is where is computed here, how it looks is said by the page's style.
//
//   const std::string svg = svg_of(Chart{.title = "answers a second", .x = {1, 10, 100},
//                                        .lines = {line}, .y_text = demo::with_prefix});
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace procpool::server_demo {

struct ChartPoint {
  double x;
  double y;           // above 0
  bool whole = true;  // drawn full, else hollow
  std::string tip{};  // shown for who points at it
};

struct ChartLine {
  std::string_view name;
  std::string look;  // CSS classes
  std::vector<ChartPoint> points;
};

// Both axes are logarithmic.
struct Chart {
  std::string title;
  std::vector<double> x;  // its ticks, in rising order
  std::vector<ChartLine> lines;
  std::function<std::string(double)> y_text;
};
std::string svg_of(const Chart& chart);

struct Bar {
  std::string_view name;
  std::string look;
  double value;  // above 0
  std::string text;
};

// Horizontal ones, on a logarithmic axis.
std::string svg_of(const std::string& title, const std::vector<Bar>& bars);

// A piece of a line, for a legend.
std::string svg_of_sample(const std::string& look);

}  // namespace procpool::server_demo
