#include "tools/server_demo/page_chart.hpp"

#include <algorithm>

#include "tools/log_axis.hpp"
#include "tools/text.hpp"

namespace procpool::server_demo {
namespace {

using demo::LogAxis;
using demo::text;
using demo::whole_decades;

constexpr double kWidth = 420;

std::string label(double x, double y, std::string_view look, std::string_view words) {
  return text("<text x='", x, "' y='", y, "' class='", look, "'>", words, "</text>");
}

std::string stroke(double x1, double y1, double x2, double y2, std::string_view look) {
  return text("<line x1='", x1, "' y1='", y1, "' x2='", x2, "' y2='", y2, "' class='", look, "'/>");
}

std::string dot(const LogAxis& x, const LogAxis& y, const ChartLine& line,
                const ChartPoint& point) {
  return text("<circle cx='", x.at(point.x), "' cy='", y.at(point.y), "' r='3.4' class='dot ",
              point.whole ? "" : "hollow ", line.look, "'><title>", line.name, ": ", point.tip,
              "</title></circle>");
}

std::string drawn(const LogAxis& x, const LogAxis& y, const ChartLine& line) {
  std::string corners;
  std::string dots;
  for (const ChartPoint& point : line.points) {
    corners += text(x.at(point.x), ",", y.at(point.y), " ");
    dots += dot(x, y, line, point);
  }
  return text("<g class='series'><polyline points='", corners, "' class='line ", line.look, "'/>",
              dots, "</g>\n");
}

std::string opening(double height, const std::string& title) {
  return text("<svg viewBox='0 0 ", kWidth, " ", height, "' role='img' aria-label='", title, "'>\n",
              label(0, 16, "title", title), "\n");
}

std::string tick_text(double value) {
  return value < 1000 ? demo::fixed(value, 0) : demo::fixed(value / 1000, 0) + " k";
}

struct Range {
  double least = 0;
  double most = 0;

  void add(double value) {
    least = least == 0 ? value : std::min(least, value);
    most = std::max(most, value);
  }
};

}  // namespace

std::string svg_of(const Chart& chart) {
  constexpr double kHeight = 300;
  constexpr double kLeft = 58;
  constexpr double kTop = 34;
  constexpr double kBottom = kHeight - 40;
  Range values;
  for (const ChartLine& line : chart.lines) {
    for (const ChartPoint& point : line.points) values.add(point.y);
  }
  std::string picture = opening(kHeight, chart.title);
  if (values.most == 0) {
    return picture + label(kLeft, kTop + 40, "soft", "nothing was measured") + "</svg>\n";
  }
  const LogAxis x{
      .least = chart.x.front(), .most = chart.x.back(), .from = kLeft + 12, .to = kWidth - 12};
  const LogAxis y = whole_decades(values.least, values.most, kBottom, kTop);
  for (const double value : y.powers_of_ten()) {
    picture += stroke(kLeft, y.at(value), kWidth, y.at(value), "grid");
    picture += label(kLeft - 6, y.at(value) + 4, "soft end", chart.y_text(value));
  }
  for (const double tick : chart.x) {
    picture += stroke(x.at(tick), kTop, x.at(tick), kBottom, "grid");
    picture += label(x.at(tick), kBottom + 17, "soft middle", tick_text(tick));
  }
  picture += label((x.from + x.to) / 2, kBottom + 34, "soft middle", "connections") + "\n";
  for (const ChartLine& line : chart.lines) picture += drawn(x, y, line);
  return picture + "</svg>\n";
}

std::string svg_of(const std::string& title, const std::vector<Bar>& bars) {
  constexpr double kStep = 24;
  constexpr double kTop = 30;
  constexpr double kLeft = 150;
  const double height = kTop + kStep * static_cast<double>(bars.size()) + 6;
  std::string picture = opening(height, title);
  if (bars.empty()) return picture + "</svg>\n";
  Range values;
  for (const Bar& bar : bars) values.add(bar.value);
  const LogAxis x = whole_decades(values.least, values.most, kLeft, kWidth - 70);
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const double y = kTop + kStep * static_cast<double>(i);
    const double width = std::max(2.0, x.at(bars[i].value) - kLeft);
    picture += label(kLeft - 8, y + 15, "end", bars[i].name);
    picture += text("<rect x='", kLeft, "' y='", y + 3, "' width='", width,
                    "' height='16' rx='2' class='bar ", bars[i].look, "'/>");
    picture += label(kLeft + width + 6, y + 15, "soft", bars[i].text) + "\n";
  }
  return picture + "</svg>\n";
}

std::string svg_of_sample(const std::string& look) {
  return text("<svg class='sample' viewBox='0 0 34 12' aria-hidden='true'>",
              stroke(0, 6, 34, 6, "line " + look), "<circle cx='17' cy='6' r='3.4' class='dot ",
              look, "'/></svg>");
}

}  // namespace procpool::server_demo
