// What ps(1) and top(1) show of this process in place of its command line.
//
//   int main(int argc, char** argv) {
//     proc::prepare_process_title(argc, argv);        // first of all
//     ...
//     proc::set_process_title("ftpd: 192.0.2.1 ada: RETR a");    // in a child of fork, say
#pragma once

#include <string_view>

namespace procpool::proc {

// The kernel shows the bytes that argv had at the start, /proc/PID/cmdline, proc(5). So that they
// may be overwritten, argv's texts and those of the environment that lie behind them are copied to
// memory of their own, which argv and environ point to afterwards: whoever has kept a pointer to
// the old ones, or uses getenv(3) in another thread meanwhile, would see a title. Once, at the top
// of main.
void prepare_process_title(int argc, char** argv);

// As much of it as there was room for arguments and environment at the start, which is never less
// than the length of the command line. Control bytes are '?': a title is one line. A process that
// was not prepared keeps what it has. Children of fork begin with their parent's, and have their
// own from then on. Makes no system call.
void set_process_title(std::string_view title) noexcept;

}  // namespace procpool::proc
