// What the scenarios give a name to, and its removal.
//
//   const std::string path = fifo_path(stage.name());
//   const Names names{name};                      // before the scenario plays
#pragma once

#include <string>
#include <utility>

namespace procpool::demo {

std::string fifo_path(const std::string& name);

// Removes in the end what a scenario left behind under its name because it was cut short.
class Names {
 public:
  explicit Names(std::string name) : name_{std::move(name)} {}
  Names(const Names&) = delete;
  Names& operator=(const Names&) = delete;
  ~Names();

 private:
  std::string name_;
};

}  // namespace procpool::demo
