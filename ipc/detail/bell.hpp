// A descriptor that becomes readable when another process rings: how a queue in shared memory is
// waited for in a poller.
#pragma once

#include <cstdint>
#include <string>

#include "ipc/base/unique_fd.hpp"

namespace procpool::ipc::detail {

// An eventfd(2) that is inherited or sent, or a FIFO with a name. Who polls looks again every
// kLongestSleep as well (event_count.hpp): whoever should have rung may have been killed instead.
class Bell {
 public:
  Bell();                                // an eventfd. Throws Error (EMFILE)
  explicit Bell(UniqueFd event);         // one that came from another process
  explicit Bell(std::string_view name);  // the FIFO of this name; made when it is polled

  void ring() noexcept;

  // Of this process, also in a child of fork: readable when rung, or when it is time to look again.
  // Throws Error (EMFILE).
  int fd();
  void silence() noexcept;
  bool is_polled() const noexcept;  // by this process

  int event() const noexcept { return event_.fd(); }  // lent, to be sent

  // The FIFO's, when there is no segment of this name any more.
  void remove_name_without_segment() noexcept;

 private:
  void open_fifo();

  std::string segment_path_;
  std::string path_;  // empty: an eventfd
  UniqueFd event_;
  UniqueFd timer_;
  UniqueFd both_;
  std::uint64_t polled_by_ = 0;  // Owner word of the process that polls
};

}  // namespace procpool::ipc::detail
