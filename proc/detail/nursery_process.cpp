#include "proc/detail/nursery_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <list>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/process_id.hpp"
#include "proc/detail/nursery_protocol.hpp"
#include "proc/detail/worker_loop.hpp"
#include "proc/process.hpp"

namespace procpool::proc::detail {
namespace {

using Outcome = ipc::Channel::Outcome;

// The last line of what a worker writes to its standard error, which goes on to ours.
class Echo {
 public:
  explicit Echo(UniqueFd pipe) : pipe_{std::move(pipe)} { set_blocking(pipe_.fd(), Blocking::no); }

  int fd() const noexcept { return pipe_.fd(); }  // -1: it has come to its end

  void pass_on() {
    std::array<char, 4096> buffer;
    for (;;) {
      const ssize_t n =
          retry_eintr([&] { return ::read(pipe_.fd(), buffer.data(), buffer.size()); });
      if (n == 0) pipe_.reset();
      if (n <= 0) return;
      const std::string_view text{buffer.data(), static_cast<std::size_t>(n)};
      write_to_stderr(text);
      remember(text);
    }
  }

  std::string last_line() const { return line_.empty() ? whole_line_ : line_; }

 private:
  static constexpr std::size_t kMost = 1000;

  // Whoever does not read it, or has closed it, is no reason to end.
  static void write_to_stderr(std::string_view text) {
    [[maybe_unused]] const ssize_t n =
        retry_eintr([&] { return ::write(STDERR_FILENO, text.data(), text.size()); });
  }

  void remember(std::string_view text) {
    for (const char c : text) {
      if (c != '\n') {
        if (line_.size() < kMost) line_ += c;
      } else if (!line_.empty()) {
        whole_line_ = std::exchange(line_, {});
      }
    }
  }

  UniqueFd pipe_;
  std::string line_;
  std::string whole_line_;
};

struct Worker {
  StartRequest who;
  Process process;
  Echo echo;
};

struct PoolSide {
  ipc::Channel channel;
  WorkerSetup setup{};
  std::array<UniqueFd, kSetupDescriptors> descriptors{};
  std::list<Worker> workers{};
  bool closed = false;
};

// Empty, too, where the kernel does not tell: CONFIG_PROC_CHILDREN, proc(5).
std::vector<pid_t> children() {
  std::vector<pid_t> pids;
  try {
    std::istringstream list{
        read_file("/proc/self/task/" + std::to_string(::gettid()) + "/children")};
    for (pid_t pid = 0; list >> pid;) pids.push_back(pid);
  } catch (const Error&) {
    pids.clear();
  }
  return pids;
}

// What came to lie there, in a program without them, would be replaced by a worker's own stderr.
void occupy_standard_descriptors() {
  int fd = -1;
  do {
    fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) ::close(fd);
}

std::vector<int> cpus_of(const WorkerSetup& setup, const StartRequest& who) {
  if (setup.cpus.empty()) return {};
  return {setup.cpus[who.worker % setup.cpus.size()]};
}

class NurseryProcess {
 public:
  NurseryProcess(ipc::Channel root, UniqueFd master)
      : root_{std::move(root)}, master_{std::move(master)} {}

  int run() {
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE}) {
      ::signal(number, SIG_IGN);
    }
    occupy_standard_descriptors();
    if (::prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) throw_errno("prctl", "PR_SET_CHILD_SUBREAPER");
    while (!ended_) wait_once();
    pools_.clear();  // kills and reaps
    kill_strangers();
    return 0;
  }

 private:
  using Handler = std::function<void()>;

  void wait_once() {
    std::vector<pollfd> polled;
    std::vector<Handler> handlers;
    const auto watch = [&](int fd, Handler handler) {
      polled.push_back({fd, POLLIN, 0});
      handlers.push_back(std::move(handler));
    };
    watch(master_.fd(), [&] { ended_ = true; });
    watch(root_.fd(), [&] { welcome(); });
    for (PoolSide& pool : pools_) {
      watch(pool.channel.fd(), [&] { serve(pool); });
      for (Worker& worker : pool.workers) {
        watch(worker.echo.fd(), [&] { worker.echo.pass_on(); });
        watch(worker.process.fd(), [&] { bury(pool, worker); });
      }
    }
    if (retry_eintr([&] { return ::poll(polled.data(), polled.size(), -1); }) < 0) {
      throw_errno("poll", "nursery");
    }
    // One of those that remove what others refer to is carried out at a time.
    for (std::size_t i = 0; i < polled.size() && !changed_; ++i) {
      if (polled[i].revents != 0) handlers[i]();
    }
    changed_ = false;
    pools_.remove_if([](const PoolSide& pool) { return pool.closed; });
  }

  void welcome() {
    std::array<std::byte, 1> hello;
    auto received = root_.try_receive(hello);
    if (received.outcome == Outcome::closed) ended_ = true;
    if (received.descriptor_count != 1) return;
    pools_.push_back({ipc::Channel{std::move(received.descriptors.front())}});
    changed_ = true;
  }

  void serve(PoolSide& pool) {
    Bytes message;
    auto received = pool.channel.try_receive(message);
    if (received.outcome == Outcome::empty) return;
    changed_ = true;
    if (received.outcome == Outcome::closed) {
      pool.closed = true;
    } else if (received.descriptor_count == kSetupDescriptors) {
      pool.setup = decode_setup(message);
      std::move(received.descriptors.begin(), received.descriptors.begin() + kSetupDescriptors,
                pool.descriptors.begin());
    } else {
      start(pool, Reader{message}.take<StartRequest>());
    }
  }

  void start(PoolSide& pool, const StartRequest& who) {
    for (Worker& other : pool.workers) {  // one that the pool has given up
      if (other.who.worker == who.worker) other.process.signal(SIGKILL);
    }
    try {
      const ChildOptions options{.name = pool.setup.name,
                                 .die_with_parent = true,
                                 .process_group = ProcessGroup::own,
                                 .cpus = cpus_of(pool.setup, who),
                                 .nice = pool.setup.nice,
                                 .redirections = {Redirection::pipe_from(STDERR_FILENO)}};
      Process process = Process::fork([&] { return be_worker(pool, who); }, options);
      Echo echo{std::move(process.pipe(STDERR_FILENO))};
      const Worker& worker =
          pool.workers.emplace_back(Worker{who, std::move(process), std::move(echo)});
      const std::array pidfd{worker.process.fd()};
      tell(pool, {.kind = WorkerNews::Kind::started, .who = who, .pid = worker.process.pid()},
           pidfd);
    } catch (const Error& error) {
      tell(pool, {.kind = WorkerNews::Kind::failed, .who = who, .text = error.what()});
    }
  }

  // In the worker. Nothing of the nursery stays open in it but what is its own.
  int be_worker(PoolSide& pool, const StartRequest& who) {
    const WorkerSetup setup = std::move(pool.setup);
    auto descriptors = std::move(pool.descriptors);
    pools_.clear();
    root_.close();
    master_.reset();
    return run_worker({setup, who, std::move(descriptors[SetupDescriptor::board]),
                       std::move(descriptors[SetupDescriptor::arena]),
                       std::move(descriptors[SetupDescriptor::bell])});
  }

  // The group while its leader is not reaped, so that it is no other's by then.
  void bury(PoolSide& pool, Worker& worker) {
    changed_ = true;
    if (worker.echo.fd() >= 0) worker.echo.pass_on();
    ::kill(-worker.process.pid(), SIGKILL);
    const ExitStatus status = worker.process.wait();
    const WorkerNews news{.kind = WorkerNews::Kind::ended,
                          .who = worker.who,
                          .pid = worker.process.pid(),
                          .status = status,
                          .text = worker.echo.last_line()};
    pool.workers.remove_if([&](const Worker& other) { return &other == &worker; });
    kill_strangers();
    tell(pool, news);
  }

  // What tasks left behind: they are our children once their parents are dead.
  void kill_strangers() {
    for (bool found = true; found;) {
      found = false;
      for (const pid_t pid : children()) {
        if (is_worker(pid)) continue;
        found = true;
        const UniqueFd stranger = open_pidfd(pid);  // its own still: only we can reap it
        send_signal(stranger.fd(), SIGKILL);
        siginfo_t info;
        retry_eintr(
            [&] { return ::waitid(P_PIDFD, static_cast<id_t>(stranger.fd()), &info, WEXITED); });
      }
    }
  }

  bool is_worker(pid_t pid) const {
    return std::any_of(pools_.begin(), pools_.end(), [&](const PoolSide& pool) {
      return std::any_of(pool.workers.begin(), pool.workers.end(),
                         [&](const Worker& worker) { return worker.process.pid() == pid; });
    });
  }

  static void tell(PoolSide& pool, const WorkerNews& news, std::span<const int> descriptors = {}) {
    pool.channel.send(std::span<const std::byte>{encode(news)}, descriptors);
  }

  ipc::Channel root_;
  UniqueFd master_;
  std::list<PoolSide> pools_;
  bool ended_ = false;
  bool changed_ = false;
};

}  // namespace

int run_nursery(ipc::Channel root, UniqueFd master) {
  return NurseryProcess{std::move(root), std::move(master)}.run();
}

}  // namespace procpool::proc::detail
