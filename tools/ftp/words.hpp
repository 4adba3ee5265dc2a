// The words of a line at the prompt.
//
//   split_words("get \"a b\" it\\'s");                   // get, a b, it's
//   const PartialWord partial = last_word("get a\\ b");  // index 1, text "a b"
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace procpool::ftp_client {

// Spaces separate; double and single quotes and backslashes keep them. Throws Failure (usage): a
// quote is missing.
std::vector<std::string> split_words(std::string_view line);

// The word that a line ends with: what completion is for.
struct PartialWord {
  std::size_t index = 0;  // of the word: 0 is the command
  std::size_t start = 0;  // where it begins in the line
  std::string text{};     // without quotes
  std::string command{};  // the first word
};
PartialWord last_word(std::string_view line);

// As it is typed: in quotes if it must be. Without the last quote, if it goes on.
enum class Closing { yes, no };
std::string quoted_word(std::string_view word, Closing closing);

// What all of them begin with.
std::string common_beginning(const std::vector<std::string>& words);

}  // namespace procpool::ftp_client
