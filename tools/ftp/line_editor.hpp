// A line that somebody types, with history and completion: editline(3).
//
//   LineEditor editor{complete, interrupts};
//   while (auto line = editor.read("host:/> ")) run(*line);
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/ftp/waiting.hpp"

namespace procpool::ftp_client {

// What the word at the end of a line may become: whole words, without quotes. One that ends with
// '/' goes on.
using Complete = std::function<std::vector<std::string>(std::string_view line)>;

// For the one terminal of a program. The history lasts as long as this: lines may have passwords in
// them, and no file keeps those.
class LineEditor {
 public:
  LineEditor(Complete complete, Interrupts& interrupts);  // throws Error
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;
  ~LineEditor();

  // Without its end. Nullopt: Ctrl-D, or the terminal is gone. Ctrl-C gives an empty line.
  std::optional<std::string> read(const std::string& prompt);

  struct State;  // what editline's call-backs know

 private:
  std::unique_ptr<State> state_;
};

}  // namespace procpool::ftp_client
