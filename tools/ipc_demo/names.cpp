#include "tools/ipc_demo/names.hpp"

#include <unistd.h>

#include "ipc/base/error.hpp"
#include "ipc/message_queue.hpp"
#include "ipc/named_segments.hpp"

namespace procpool::demo {

std::string fifo_path(const std::string& name) {
  return "/dev/shm" + name + ".fifo";
}

Names::~Names() {
  ::unlink(fifo_path(name_).c_str());
  try {
    ipc::MessageQueue::unlink(name_);
    ipc::remove_named_segment(name_);
  } catch (const Error&) {
    return;  // there is none: the scenario has removed it itself
  }
}

}  // namespace procpool::demo
