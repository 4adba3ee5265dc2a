#include "ipc/condition.hpp"

#include <cerrno>

#include "ipc/base/error.hpp"

namespace procpool::ipc {

void Condition::refuse_wait() {
  throw_errno("wait", "condition", EPERM);
}

}  // namespace procpool::ipc
