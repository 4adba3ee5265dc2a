#include "tools/table.hpp"

#include <algorithm>

namespace procpool::demo {

std::size_t width_of(std::string_view utf8) {
  return static_cast<std::size_t>(std::ranges::count_if(
      utf8, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string padded(std::string_view utf8, std::size_t width, Align align) {
  const std::string spaces(width - std::min(width, width_of(utf8)), ' ');
  return align == Align::left ? std::string{utf8} + spaces : spaces + std::string{utf8};
}

std::string Table::text() const {
  std::vector<std::size_t> widths;
  std::vector<std::string> titles;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    titles.push_back(columns_[i].title);
    std::size_t widest = width_of(columns_[i].title);
    for (const auto& row : rows_) widest = std::max(widest, width_of(row[i]));
    widths.push_back(widest);
  }
  std::string lines;
  const auto append = [&](const std::vector<std::string>& row) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += "  " + padded(row[i], widths[i], columns_[i].align);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    lines += line + "\n";
  };
  append(titles);
  for (const auto& row : rows_) append(row);
  return lines;
}

}  // namespace procpool::demo
