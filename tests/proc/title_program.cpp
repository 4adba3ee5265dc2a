// Sets each of its arguments as its title, and says after each what the kernel shows, in brackets;
// then its last argument again, and the variable WORD.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "ipc/base/io.hpp"
#include "proc/process_title.hpp"

namespace {

void show() {
  std::string text = procpool::read_file("/proc/self/cmdline");
  while (!text.empty() && text.back() == '\0') text.pop_back();
  std::printf("[%s]\n", text.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  procpool::proc::set_process_title("too early");
  procpool::proc::prepare_process_title(argc, argv);
  for (int i = 1; i < argc; ++i) {
    procpool::proc::set_process_title(argv[i]);
    show();
  }
  std::printf("%s %s\n", argv[argc - 1], std::getenv("WORD"));
}
