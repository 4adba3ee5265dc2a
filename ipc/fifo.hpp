// A pipe with a name, for processes that are no relatives.
//
//   ipc::Fifo fifo{"/run/jobs.fifo"};                        // made if it is not there
//   auto reader = fifo.open_reader(Deadline::in(5s));        // nullopt: nobody came to write
//   std::size_t n = reader->read_some(buffer);
//   // elsewhere: ipc::Fifo{"/run/jobs.fifo"}.open_writer(Deadline::in(5s))->write_full("hello");
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <optional>
#include <string>

#include "ipc/base/deadline.hpp"
#include "ipc/base/unique_fd.hpp"
#include "ipc/pipe.hpp"

namespace procpool::ipc {

// The name of a FIFO, fifo(7), mkfifo(3). The bytes in it last as long as any process has an end of
// it open; the name until its maker's object is destroyed, in the process that made it. One that
// was left behind, because its maker was killed, serves whoever comes next as it is, and is not
// removed by him. Move only.
//
// The object keeps hold of the FIFO that it found or made: if somebody puts another file under the
// name, its ends are of the old one still, and the new one is not removed.
class Fifo {
 public:
  // The mode is lessened by the umask(2), and is of one that is made only. Throws Error: what is
  // there is no FIFO, or a link; ENOENT (no such folder), EACCES.
  explicit Fifo(std::string path, mode_t mode = S_IRUSR | S_IWUSR);

  Fifo(Fifo&& other) noexcept;
  Fifo& operator=(Fifo&& other) noexcept;
  ~Fifo();

  // Opens an end, in blocking mode, and waits until another process has opened the other one.
  // nullopt: none has until the deadline. No event tells of that, so it is asked after 1 ms, and
  // ever less often up to every kLongestSleep (event_count.hpp); bytes and the end wake a reader at
  // once. What is written while a reader still waits in vain is lost with it. Throws Error: EACCES.
  std::optional<PipeReader> open_reader(Deadline deadline = Deadline::never()) const;
  std::optional<PipeWriter> open_writer(Deadline deadline = Deadline::never()) const;

  const std::string& path() const noexcept { return path_; }
  bool made() const noexcept { return maker_ != 0; }  // by this object

 private:
  UniqueFd try_open(int flags) const;

  std::string path_;
  UniqueFd place_;   // O_PATH: the FIFO itself, whatever its name means later
  pid_t maker_ = 0;  // the process whose destructor removes it; 0: none
};

}  // namespace procpool::ipc
