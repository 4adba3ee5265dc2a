#include "ipc/recursive_mutex.hpp"

#include <cerrno>

#include "ipc/base/error.hpp"

namespace procpool::ipc {

void RecursiveMutex::refuse_unlock() {
  throw_errno("unlock", "recursive mutex", EPERM);
}

}  // namespace procpool::ipc
