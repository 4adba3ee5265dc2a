// Another program in this process.
//
//   execute({"/usr/sbin/server", "--port", "80"}, environment, {{listener.fd()}});   // or an Error
#pragma once

#include <span>
#include <string>
#include <vector>

namespace procpool::proc {

// Replaces this process's program, execve(2), with this environment ("NAME=value" each). The
// process keeps its pid, its children, and of its descriptors 0, 1, 2 and `keep`. argv[0] with a
// slash is a path, else it is looked for in PATH; or `program` is a descriptor of the program's
// file (opened with O_PATH), whatever its name is now. The signal mask stays, so that what is
// blocked waits for the next program. No destructor runs. Throws Error: the program cannot be
// executed, and nothing has changed.
[[noreturn]] void execute(const std::vector<std::string>& argv,
                          const std::vector<std::string>& environment, std::span<const int> keep,
                          int program = -1);

}  // namespace procpool::proc
