// What a descriptor of a child is connected to.
//
//   auto child = Process::spawn({"sort"}, {.redirections = {Redirection::pipe_to(0),
//                                                           Redirection::file(1, "/tmp/sorted"),
//                                                           Redirection::null(2)}});
//   write_full(child.pipe(0).fd(), text, "sort");
#pragma once

#include <fcntl.h>
#include <sys/types.h>

#include <string>
#include <utility>

namespace procpool::proc {

// One descriptor of the child. They are carried out in order, as a shell does: {fd(1, log), fd(2,
// 1)} sends both to log. A value; it owns nothing. Files and pipes are opened by the parent, before
// fork.
struct Redirection {
  enum class Kind { fd, file, pipe_to_child, pipe_from_child };

  Kind kind;
  int target;          // the child's descriptor
  int source = -1;     // fd: the parent's descriptor, or an earlier target
  std::string path{};  // file
  int flags = 0;       // file: open(2)
  mode_t mode = 0;     // file: open(2)

  static Redirection fd(int target, int source) { return {Kind::fd, target, source}; }
  static Redirection file(int target, std::string path, int flags = O_WRONLY | O_CREAT | O_TRUNC,
                          mode_t mode = 0666) {
    return {Kind::file, target, -1, std::move(path), flags, mode};
  }
  static Redirection null(int target) { return file(target, "/dev/null", O_RDWR); }
  // The parent's end is Process::pipe(target).
  static Redirection pipe_to(int target) { return {Kind::pipe_to_child, target}; }
  static Redirection pipe_from(int target) { return {Kind::pipe_from_child, target}; }
};

}  // namespace procpool::proc
