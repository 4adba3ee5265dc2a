#include "ipc/base/owner.hpp"

#include <pthread.h>
#include <unistd.h>

#include <cstdint>
#include <limits>

#include "ipc/base/detail/proc_stat.hpp"
#include "ipc/base/error.hpp"

namespace procpool {
namespace {

// A child of fork has one thread, with a copy of these.
void forget_who_we_were() {
  detail::own_thread = 0;
  detail::own_process = 0;
}

constexpr std::uint64_t word_of(pid_t id, std::uint64_t start_time) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(id)) | start_time << 32U;
}

std::uint64_t identify(pid_t id) {
  static const int registered = ::pthread_atfork(nullptr, nullptr, forget_who_we_were);
  if (registered != 0) throw_errno("pthread_atfork", {}, registered);
  const auto stat = detail::read_proc_stat(id);
  if (!stat) throw_errno("read", "/proc/self/stat", ENOENT);
  return word_of(id, stat->start_time);
}

}  // namespace

std::uint64_t Owner::identify_thread() {
  return detail::own_thread = identify(::gettid());
}

std::uint64_t Owner::identify_process() {
  return detail::own_process = identify(::getpid());
}

bool Owner::thread_is_dead() const {
  const auto stat = detail::try_to_read_proc_stat(id());
  if (!stat) return !detail::id_exists(id());
  return stat->state == 'Z' || stat->state == 'X' || word_of(id(), stat->start_time) != word_;
}

bool Owner::process_is_dead() const {
  return detail::process_has_ended(id(), word_ >> 32U, std::numeric_limits<std::uint32_t>::max());
}

}  // namespace procpool
