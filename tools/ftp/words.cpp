#include "tools/ftp/words.hpp"

#include <algorithm>
#include <optional>

#include "tools/ftp/failure.hpp"

namespace procpool::ftp_client {
namespace {

struct Scanned {
  std::vector<std::string> words;
  std::size_t start = 0;   // of the last one
  bool open_word = false;  // the line ends in it
  bool open_quote = false;
};

Scanned scan(std::string_view line) {
  Scanned scanned;
  char quote = 0;
  for (std::size_t at = 0; at < line.size(); ++at) {
    const char c = line[at];
    if (quote == 0 && (c == ' ' || c == '\t')) {
      scanned.open_word = false;
      continue;
    }
    if (!scanned.open_word) {
      scanned.words.emplace_back();
      scanned.start = at;
      scanned.open_word = true;
    }
    if (c == '\\' && quote != '\'') {
      if (++at < line.size()) scanned.words.back().push_back(line[at]);
    } else if (quote == 0 && (c == '"' || c == '\'')) {
      quote = c;
    } else if (quote == c && quote != 0) {
      quote = 0;
    } else {
      scanned.words.back().push_back(c);
    }
  }
  scanned.open_quote = quote != 0;
  return scanned;
}

}  // namespace

std::vector<std::string> split_words(std::string_view line) {
  Scanned scanned = scan(line);
  if (scanned.open_quote) throw Failure{ExitCode::usage, "read line", {}, "a quote is missing"};
  return std::move(scanned.words);
}

PartialWord last_word(std::string_view line) {
  Scanned scanned = scan(line);
  PartialWord partial;
  if (!scanned.words.empty()) partial.command = scanned.words.front();
  if (scanned.open_word) {
    partial.index = scanned.words.size() - 1;
    partial.start = scanned.start;
    partial.text = std::move(scanned.words.back());
  } else {
    partial.index = scanned.words.size();
    partial.start = line.size();
  }
  return partial;
}

std::string quoted_word(std::string_view word, Closing closing) {
  if (!word.empty() && word.find_first_of(" \t\"'\\") == word.npos) return std::string{word};
  std::string out = "\"";
  for (const char c : word) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  if (closing == Closing::yes) out.push_back('"');
  return out;
}

std::string common_beginning(const std::vector<std::string>& words) {
  if (words.empty()) return {};
  std::string_view common = words.front();
  for (const std::string& word : words) {
    const auto [end, other] = std::ranges::mismatch(common, word);
    common = common.substr(0, static_cast<std::size_t>(end - common.begin()));
  }
  // Not within a character of UTF-8.
  while (common.size() < words.front().size() && !common.empty() &&
         (static_cast<unsigned char>(words.front()[common.size()]) & 0xc0U) == 0x80)
    common.remove_suffix(1);
  return std::string{common};
}

}  // namespace procpool::ftp_client
