#include "proc/run.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/unique_fd.hpp"
#include "proc/detail/move_above.hpp"
#include "proc/signal_mask.hpp"

namespace procpool::proc {
namespace {

// Above the standard descriptors, which the redirections that name them replace.
constexpr int kFirstOther = STDERR_FILENO + 1;

// SIGPIPE of the calling thread, which writing to a program that does not read would raise.
class NoSigpipe {
 public:
  NoSigpipe() noexcept = default;
  NoSigpipe(const NoSigpipe&) = delete;
  NoSigpipe& operator=(const NoSigpipe&) = delete;
  ~NoSigpipe() {
    if (!raised_) return;
    const SignalSet pipe{SIGPIPE};
    const timespec now{};
    ::sigtimedwait(&pipe.native(), nullptr, &now);
  }
  void raised() noexcept { raised_ = true; }

 private:
  ScopedSignalMask mask_{{SIGPIPE}};
  bool raised_ = false;
};

// What is written to the programs.
class Feed {
 public:
  Feed(UniqueFd writer, std::string_view text) : writer_{std::move(writer)}, rest_{text} {
    if (!writer_.valid()) return;
    set_blocking(writer_.fd(), Blocking::no);
    close_if_done();
  }

  int fd() const noexcept { return writer_.fd(); }

  void write_some() {
    const ssize_t n = retry_eintr([&] { return ::write(fd(), rest_.data(), rest_.size()); });
    if (n >= 0) {
      rest_.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EPIPE) {
      quiet_.raised();
      rest_ = {};
    } else if (errno != EAGAIN) {
      throw_errno("write", "stdin");
    }
    close_if_done();
  }

 private:
  void close_if_done() {
    if (rest_.empty()) writer_.reset();
  }

  NoSigpipe quiet_;
  UniqueFd writer_;
  std::string_view rest_;
};

// What the programs write.
class Capture {
 public:
  Capture(UniqueFd reader, std::size_t limit) : reader_{std::move(reader)}, limit_{limit} {}

  int fd() const noexcept { return reader_.fd(); }
  std::string take_text() noexcept { return std::move(text_); }

  // When there is something, or the end.
  void read_some() { read_up_to(kChunk); }

  // What is there now, of however much more there might come.
  void read_rest() {
    int rest = 0;
    if (fd() >= 0 && ::ioctl(fd(), FIONREAD, &rest) != 0) throw_errno("ioctl(FIONREAD)", "output");
    for (auto left = static_cast<std::size_t>(rest); left > 0 && fd() >= 0;) {
      left -= read_up_to(std::min(left, kChunk));
    }
  }

 private:
  static constexpr std::size_t kChunk = 65536;  // what a pipe holds: pipe(7)

  std::size_t read_up_to(std::size_t most) {
    const std::size_t before = text_.size();
    text_.resize(before + most);
    const ssize_t n = retry_eintr([&] { return ::read(fd(), text_.data() + before, most); });
    if (n < 0) throw_errno("read", "output");
    text_.resize(before + static_cast<std::size_t>(n));
    if (text_.size() > limit_) throw_errno("read", "output", EFBIG);
    if (n == 0) reader_.reset();
    return static_cast<std::size_t>(n);
  }

  UniqueFd reader_;
  std::size_t limit_;
  std::string text_;
};

bool redirects(const ChildOptions& options, int target) {
  return std::any_of(options.redirections.begin(), options.redirections.end(),
                     [&](const Redirection& to) { return to.target == target; });
}

void connect(Program& program, int target, const UniqueFd& source) {
  auto& redirections = program.options.redirections;
  if (!source.valid() || redirects(program.options, target)) return;
  redirections.insert(redirections.begin(), Redirection::fd(target, source.fd()));
}

Recipient recipient_of(const Process& child) {
  return child.leads_group() ? Recipient::group : Recipient::process;
}

// The programs that run, and their pipes.
class Run {
 public:
  Run(const std::vector<Program>& programs, const RunOptions& options) : options_{options} {
    auto input = options.input ? detail::make_pipe_above(kFirstOther) : detail::PipeEnds{};
    auto output = detail::make_pipe_above(kFirstOther);
    auto errors = detail::make_pipe_above(kFirstOther);
    std::vector<Program> connected = programs;
    connect(connected.front(), STDIN_FILENO, input.reader);
    connect(connected.back(), STDOUT_FILENO, output.writer);
    for (Program& program : connected) {
      connect(program, STDERR_FILENO, errors.writer);
      program.options.on_destroy = OnDestroy::kill_and_wait;
    }
    children_ = spawn_pipeline(connected);
    feed_.emplace(std::move(input.writer), options.input ? *options.input : std::string_view{});
    out_.emplace(std::move(output.reader), options.limit);
    err_.emplace(std::move(errors.reader), options.limit);
  }

  PipelineResult finish() {
    await_children();
    out_->read_rest();
    err_->read_rest();
    const Deadline drained = Deadline::in(options_.drain);
    while ((out_->fd() >= 0 || err_->fd() >= 0) && !drained.expired()) serve_pipes(drained);

    PipelineResult result;
    for (Process& child : children_) {
      if (timed_out_ && child.leads_group()) child.signal(SIGKILL, Recipient::group);
      result.statuses.push_back(child.wait());
    }
    result.out = out_->take_text();
    result.err = err_->take_text();
    result.timed_out = timed_out_;
    return result;
  }

 private:
  // They stay unreaped, so that their groups can be signalled.
  void await_children() {
    Deadline next_step = options_.deadline;
    auto step = options_.at_deadline.begin();
    for (auto ends = running(); !ends.empty(); ends = running()) {
      if (next_step.expired()) {
        timed_out_ = true;
        next_step = Deadline::never();
        if (step != options_.at_deadline.end()) {
          for (Process& child : children_) child.take(*step, recipient_of(child));
          next_step = Deadline::in(step->grace);
          ++step;
        }
      }
      serve_pipes(next_step, ends);
    }
  }

  // Where the end of each program is to be seen that has not ended yet.
  std::vector<pollfd> running() const {
    std::vector<pollfd> ends;
    for (const Process& child : children_) {
      if (!child.ready()) ends.push_back({child.fd(), POLLIN, 0});
    }
    return ends;
  }

  // Waits until a pipe is ready or one of `ends`, and serves the pipes that are. The ends are those
  // that the caller saw: a second look could find none, and there would be nothing to wake us.
  void serve_pipes(Deadline deadline, const std::vector<pollfd>& ends = {}) {
    std::vector<pollfd> items{
        {feed_->fd(), POLLOUT, 0}, {out_->fd(), POLLIN, 0}, {err_->fd(), POLLIN, 0}};
    items.insert(items.end(), ends.begin(), ends.end());
    if (::poll(items.data(), items.size(), deadline.poll_timeout()) < 0) {
      if (errno == EINTR) return;
      throw_errno("poll", "programs");
    }
    if (items[0].revents != 0) feed_->write_some();
    if (items[1].revents != 0) out_->read_some();
    if (items[2].revents != 0) err_->read_some();
  }

  const RunOptions& options_;
  std::vector<Process> children_;
  std::optional<Feed> feed_;
  std::optional<Capture> out_;
  std::optional<Capture> err_;
  bool timed_out_ = false;
};

}  // namespace

RunResult run(const std::vector<std::string>& argv, const ChildOptions& child,
              const RunOptions& options) {
  PipelineResult result = run_pipeline({{argv, child}}, options);
  return {.status = result.statuses.front(),
          .out = std::move(result.out),
          .err = std::move(result.err),
          .timed_out = result.timed_out};
}

PipelineResult run_pipeline(const std::vector<Program>& programs, const RunOptions& options) {
  if (programs.empty()) return {};
  return Run{programs, options}.finish();
}

}  // namespace procpool::proc
