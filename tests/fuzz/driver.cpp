// Runs a fuzz target without libFuzzer: every file of the corpus, and then mutations of them,
// always the same.
//
//   fuzz_head_parser CORPUS MUTATIONS
//
// An input that ends the process is left in the file `crash-input` of the working directory.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "ipc/base/io.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Random = std::mt19937;

constexpr std::size_t kLongestInput = 100'000;

// What grammars are made of, and what breaks them.
constexpr std::string_view kTokens[] = {
    "\r\n",
    "\r",
    "\n",
    " ",
    "\t",
    ":",
    ",",
    ";",
    "=",
    "\"",
    "%",
    "%00",
    "%2e",
    "%2f",
    "/",
    "..",
    "/../",
    "?",
    "#",
    "*",
    "@",
    "[",
    "]",
    "0",
    "5",
    "ffffffffffffffff",
    "18446744073709551616",
    "-1",
    "chunked",
    "Transfer-Encoding: ",
    "Content-Length: ",
    "Host: a\r\n",
    "HTTP/1.1",
    "HTTP/1.0",
    "http://",
    "GET ",
    "Expect: 100-continue\r\n",
    "Connection: close\r\n",
    " GMT",
    "Sun, ",
    "Nov",
    "1994",
    "workers",
    "= [",
    "[[host]]\n",
    "[[path]]\n",
    "bytes=",
    "\"a\"",
    "W/\"",
    "If-Match: ",
    "If-Range: ",
    ";q=0.",
    "gzip",
    "Basic ",
    "Content-Type: ",
    "Status: ",
    "Location: /",
    "&",
    "{a}",
    "/{",
    "-",
    "9",
};

std::string_view current_input;

std::size_t below(Random& random, std::size_t bound) {
  return std::uniform_int_distribution<std::size_t>{0, bound - 1}(random);
}

std::string mutated(std::string text, const std::vector<std::string>& corpus, Random& random) {
  const std::size_t edits = 1 + below(random, 6);
  for (std::size_t i = 0; i < edits; ++i) {
    const std::size_t at = below(random, text.size() + 1);
    const std::size_t length = std::min(below(random, 16) + 1, text.size() - at);
    switch (below(random, 6)) {
      case 0:
        text.insert(at, kTokens[below(random, std::size(kTokens))]);
        break;
      case 1:
        text.erase(at, length);
        break;
      case 2:
        text.insert(at, text.substr(at, length));
        break;
      case 3:
        text.replace(at, length, kTokens[below(random, std::size(kTokens))]);
        break;
      case 4:
        if (at < text.size()) text[at] = static_cast<char>(below(random, 256));
        break;
      default: {
        const std::string& other = corpus[below(random, corpus.size())];
        text.replace(at, text.npos, other.substr(below(random, other.size() + 1)));
        break;
      }
    }
  }
  text.resize(std::min(text.size(), kLongestInput));
  return text;
}

void keep_input(int signal_number) {
  const int file = ::open("crash-input", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const bool kept = ::write(file, current_input.data(), current_input.size()) >= 0;
  const std::string_view note = kept ? "the input is in crash-input\n" : "the input is lost\n";
  if (::write(STDERR_FILENO, note.data(), note.size()) < 0) _exit(1);
  ::signal(signal_number, SIG_DFL);
  ::raise(signal_number);
}

void run(std::string_view input) {
  // Memory of exactly this size: one byte beyond it is an error that AddressSanitizer sees.
  const std::vector<std::uint8_t> bytes(input.begin(), input.end());
  current_input = input;
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

std::vector<std::string> read_corpus(const std::filesystem::path& folder) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator{folder})
    paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> corpus;
  corpus.reserve(paths.size());
  for (const std::string& path : paths) corpus.push_back(procpool::read_file(path));
  return corpus;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s CORPUS MUTATIONS\n", argv[0]);
    return 2;
  }
  for (const int fatal : {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE}) ::signal(fatal, keep_input);

  const auto corpus = read_corpus(argv[1]);
  const long mutations = std::atol(argv[2]);
  for (const std::string& input : corpus) run(input);
  Random random;  // its default seed: each run is the same
  for (long i = 0; i < mutations; ++i)
    run(mutated(corpus[below(random, corpus.size())], corpus, random));
  std::printf("%zu inputs and %ld mutations\n", corpus.size(), mutations);
}
