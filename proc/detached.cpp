#include "proc/detached.hpp"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/channel.hpp"
#include "proc/detail/error_codec.hpp"
#include "proc/detail/move_above.hpp"
#include "proc/process.hpp"

namespace procpool::proc {
namespace {

void require_detachable(const std::string& name, const ChildOptions& options) {
  const auto refuse = [&](const char* reason) { throw Error{"detach", name, reason}; };
  if (options.die_with_parent) refuse("it has no parent to die with");
  if (options.controlling_terminal) refuse("it is no leader of a session, and gets no terminal");
  for (const Redirection& redirection : options.redirections) {
    if (redirection.kind == Redirection::Kind::pipe_to_child ||
        redirection.kind == Redirection::Kind::pipe_from_child) {
      refuse("nobody would hold the other end of its pipe");
    }
  }
}

// The two ends between the caller and the process in between, which a forked function does not
// keep.
struct Link {
  explicit Link(int floor) {
    auto [left, right] = ipc::make_channel();
    ours = ipc::Channel{detail::move_above(left.release(), floor)};
    theirs = ipc::Channel{detail::move_above(right.release(), floor)};
  }
  void close() {
    ours.close();
    theirs.close();
  }
  ipc::Channel ours{UniqueFd{}};
  ipc::Channel theirs{UniqueFd{}};
};

// In the process in between. The child is not reaped, whether it has ended already or not: _exit
// leaves it to whoever adopts it.
template <typename Start>
int start_and_tell(Start start, ipc::Channel& caller) {
  try {
    const Process child = start();
    caller.send(ProcessId::of(child.pid()).value());
    ::_exit(0);
  } catch (const Error& error) {
    caller.send(error);
    return 1;
  }
}

template <typename Start>
ProcessId detach(const std::string& name, Link& link, Start start) {
  Process between = Process::fork(
      [&] {
        link.ours.close();
        return start_and_tell(start, link.theirs);
      },
      {.name = name, .process_group = ProcessGroup::session});
  const ExitStatus status = between.wait();
  if (status.success()) return link.ours.try_receive<ProcessId>().value.value();
  if (auto error = link.ours.try_receive<Error>().value) throw *std::move(error);
  throw Error{"detach", name, "the process in between was " + status.text()};
}

}  // namespace

ProcessId spawn_detached(const std::vector<std::string>& argv, const ChildOptions& options) {
  const std::string name = options.name.empty() && !argv.empty() ? argv.front() : options.name;
  require_detachable(name, options);
  Link link{detail::first_free_of(options.redirections)};
  return detach(name, link, [&] { return Process::spawn(argv, options); });
}

ProcessId fork_detached(const std::function<int()>& body, const ChildOptions& options) {
  require_detachable(options.name, options);
  Link link{detail::first_free_of(options.redirections)};
  const auto without_link = [&] {
    link.close();
    return body();
  };
  return detach(options.name, link, [&] { return Process::fork(without_link, options); });
}

}  // namespace procpool::proc
