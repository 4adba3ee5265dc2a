#include "proc/nursery.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <string>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/process_id.hpp"
#include "proc/detail/nursery_process.hpp"
#include "proc/detail/thread_sanitizer.hpp"

namespace procpool::proc {
namespace {

constexpr const char* kName = "nursery";

// clang's ThreadSanitizer has a thread of its own, which a fork does not miss.
constexpr std::ptrdiff_t kThreadsOfNobody = detail::kThreadSanitizer ? 2 : 1;

bool has_threads() {
  const std::filesystem::directory_iterator threads{"/proc/self/task"};
  return std::distance(begin(threads), end(threads)) > kThreadsOfNobody;
}

}  // namespace

Nursery::Nursery(std::optional<std::vector<int>> keep_only)
    : owner_{::getpid()}, keep_only_{std::move(keep_only)} {
  start();
}

Nursery::~Nursery() = default;

void Nursery::start() {
  if (has_threads()) {
    throw Error{"start", kName,
                "there are threads, of which fork would lose all but one: make it before them"};
  }
  auto [ours, theirs] = ipc::make_channel();
  UniqueFd master = open_pidfd(::getpid());
  std::optional<std::vector<int>> kept = keep_only_;
  if (kept) kept->insert(kept->end(), {theirs.fd(), master.fd()});
  std::fflush(nullptr);  // or each worker would write it again
  process_.emplace(Process::fork(
      [&] {
        ours.close();
        return detail::run_nursery(std::move(theirs), std::move(master));
      },
      {.name = kName, .process_group = ProcessGroup::own, .keep_only = kept}));
  root_.emplace(std::move(ours));
}

pid_t Nursery::pid() const {
  const std::scoped_lock lock{mutex_};
  return process_->pid();
}

Nursery::Connection Nursery::connect() {
  const std::scoped_lock lock{mutex_};
  if (owner_ != ::getpid()) throw Error{"connect", kName, "it was made before fork"};
  if (process_->try_wait()) start();
  UniqueFd pidfd{::fcntl(process_->fd(), F_DUPFD_CLOEXEC, 0)};
  if (!pidfd.valid()) throw_errno("fcntl(F_DUPFD_CLOEXEC)", kName);
  auto [ours, theirs] = ipc::make_channel();
  const std::array hello{std::byte{}};
  const std::array descriptors{theirs.fd()};
  root_->send(hello, descriptors);  // if it has just died, the pidfd tells
  return {std::move(ours), std::move(pidfd)};
}

}  // namespace procpool::proc
