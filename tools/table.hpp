// Rows with aligned columns, for a terminal.
//
//   Table table{{"name", Align::left}, {"size", Align::right}};
//   table.add({"jobs", "64 KiB"});
//   std::cout << table.text();
#pragma once

#include <string>
#include <vector>

namespace procpool::demo {

enum class Align { left, right };

class Table {
 public:
  struct Column {
    std::string title;
    Align align = Align::right;
  };

  explicit Table(std::vector<Column> columns) : columns_{std::move(columns)} {}

  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }  // a cell a column
  std::string text() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// How many columns of a terminal a UTF-8 text takes, if none of its characters is a wide one.
std::size_t width_of(std::string_view utf8);

// The text with spaces before or behind it, up to a width.
std::string padded(std::string_view utf8, std::size_t width, Align align);

}  // namespace procpool::demo
