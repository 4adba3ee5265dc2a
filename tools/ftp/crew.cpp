#include "tools/ftp/crew.hpp"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/codec.hpp"
#include "ipc/shared.hpp"
#include "ipc/shared_array.hpp"
#include "proc/pool.hpp"
#include "tools/ftp/names.hpp"
#include "tools/text.hpp"

namespace procpool::ftp_client {

// What all workers share.
struct CrewBoard {
  static constexpr std::uint64_t kNothing = static_cast<std::uint64_t>(-1);
  CrewBoard() noexcept {
    for (auto& job : in_hand) job = kNothing;
  }

  ProgressBoard progress;
  std::atomic<std::uint64_t> next{0};                                           // job
  std::array<std::atomic<std::uint64_t>, ProgressBoard::kMostWorkers> in_hand;  // of each worker
};

enum class JobState : std::uint8_t { waiting, done, failed, told };
using JobStates = ipc::SharedArray<std::atomic<JobState>>;

// What one of them is told, and tells.
struct WorkerOrder {
  Login login;
  SessionOptions session;
  Order order;
  std::uint64_t worker = 0;  // its slot
  int board = -1;            // descriptors that it has inherited
  int states = -1;
};
struct WorkerReport {
  std::vector<std::string> failures{};
  std::exception_ptr first{};  // does not travel
};

namespace {

class Writer {
 public:
  explicit Writer(std::vector<std::byte>& out) : out_{out} {}
  template <ipc::Trivial T>
  void value(const T& value) {
    ipc::Codec<T>::encode(value, out_);
  }
  void text(const std::string& text) {
    value(text.size());
    ipc::Codec<std::string>::encode(text, out_);
  }

 private:
  std::vector<std::byte>& out_;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_{bytes} {}
  template <ipc::Trivial T>
  T value() {
    return ipc::Codec<T>::decode(take(sizeof(T)));
  }
  std::string text() { return ipc::Codec<std::string>::decode(take(value<std::size_t>())); }

 private:
  std::span<const std::byte> take(std::size_t size) {
    if (size > bytes_.size()) throw Error{"decode", "order", "it ends too early"};
    const auto taken = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return taken;
  }
  std::span<const std::byte> bytes_;
};

}  // namespace
}  // namespace procpool::ftp_client

template <>
struct procpool::ipc::Codec<procpool::ftp_client::WorkerOrder> {
  using WorkerOrder = ftp_client::WorkerOrder;

  static void encode(const WorkerOrder& work, std::vector<std::byte>& out) {
    ftp_client::Writer writer{out};
    const ftp_client::Login& login = work.login;
    for (const auto* text : {&login.host, &login.port, &login.user, &login.password, &login.account,
                             &work.order.folder})
      writer.text(*text);
    writer.value(work.session);
    writer.value(work.order.direction);
    writer.value(work.order.options);
    writer.value(work.worker);
    writer.value(work.board);
    writer.value(work.states);
    writer.value(work.order.jobs.size());
    for (const ftp_client::Job& job : work.order.jobs) {
      writer.text(job.remote);
      writer.text(job.local);
      writer.value(job.size);
      writer.value(job.modified);
    }
  }

  static WorkerOrder decode(std::span<const std::byte> bytes) {
    ftp_client::Reader reader{bytes};
    WorkerOrder work;
    ftp_client::Login& login = work.login;
    for (auto* text : {&login.host, &login.port, &login.user, &login.password, &login.account,
                       &work.order.folder})
      *text = reader.text();
    work.session = reader.value<ftp_client::SessionOptions>();
    work.order.direction = reader.value<ftp_client::Direction>();
    work.order.options = reader.value<ftp_client::JobOptions>();
    work.worker = reader.value<std::uint64_t>();
    work.board = reader.value<int>();
    work.states = reader.value<int>();
    const auto count = reader.value<std::size_t>();
    for (std::size_t i = 0; i < count; ++i) {
      ftp_client::Job job;
      job.remote = reader.text();
      job.local = reader.text();
      job.size = reader.value<std::optional<std::uint64_t>>();
      job.modified = reader.value<std::optional<std::time_t>>();
      work.order.jobs.push_back(std::move(job));
    }
    return work;
  }
};

template <>
struct procpool::ipc::Codec<procpool::ftp_client::WorkerReport> {
  using WorkerReport = ftp_client::WorkerReport;

  static void encode(const WorkerReport& report, std::vector<std::byte>& out) {
    ftp_client::Writer writer{out};
    writer.value(report.failures.size());
    for (const std::string& failure : report.failures) writer.text(failure);
  }
  static WorkerReport decode(std::span<const std::byte> bytes) {
    ftp_client::Reader reader{bytes};
    WorkerReport report;
    const auto count = reader.value<std::size_t>();
    for (std::size_t i = 0; i < count; ++i) report.failures.push_back(reader.text());
    return report;
  }
};

namespace procpool::ftp_client {
namespace {

bool is_lost(const std::exception& error) {
  const ExitCode code = exit_code_of(error);
  return code == ExitCode::no_connection || code == ExitCode::timed_out;
}

class Worker {
 public:
  Worker(Session& session, const Order& order, CrewBoard& board, JobStates& states,
         std::uint64_t number, Tick tick)
      : session_{session},
        order_{order},
        folder_{order.folder},
        board_{board},
        states_{states},
        slot_{board.progress.slots.at(number)},
        in_hand_{board.in_hand.at(number)},
        tick_{std::move(tick)} {}

  // Until no job is left, or the server is gone. First what a worker of this number had in hand
  // when it died.
  WorkerReport work() {
    bool connected = true;
    const std::uint64_t left = in_hand_;
    if (left != CrewBoard::kNothing && states_[left] == JobState::waiting)
      connected = do_one(left, Begun::yes);
    while (connected) {
      const std::uint64_t index = board_.next++;
      if (index >= order_.jobs.size()) break;
      in_hand_ = index;
      connected = do_one(index, Begun::no);
    }
    return std::move(report_);
  }

 private:
  enum class Begun : std::uint8_t { no, yes };

  // False: there is no way to go on.
  bool do_one(std::uint64_t index, Begun begun) {
    const bool connected = try_one(index, begun);
    ++board_.progress.files_done;
    tick_();
    return connected;
  }

  bool try_one(std::uint64_t index, Begun begun) {
    try {
      const Job& job = order_.jobs[index];
      begun == Begun::yes ? go_on_with(job) : attempt(job);
      states_[index] = JobState::done;
      return true;
    } catch (const Interrupted&) {
      throw;
    } catch (const std::exception& error) {
      report_.failures.emplace_back(error.what());
      if (!report_.first) report_.first = std::current_exception();
      states_[index] = JobState::failed;
      return !is_lost(error);
    }
  }

  void attempt(const Job& job) {
    try {
      do_job(session_, folder_, order_.direction, job, order_.options, slot_, tick_);
    } catch (const Failure& failure) {
      if (!is_lost(failure)) throw;
      go_on_with(job);
    }
  }

  void go_on_with(const Job& job) {
    Job rest = job;
    if (order_.direction == Direction::put) rest.size = rest.modified = std::nullopt;
    do_job(session_, folder_, order_.direction, rest, {.resume = true}, slot_, tick_);
  }

  Session& session_;
  const Order& order_;
  LocalFolder folder_;
  CrewBoard& board_;
  JobStates& states_;
  ProgressSlot& slot_;
  std::atomic<std::uint64_t>& in_hand_;
  Tick tick_;
  WorkerReport report_;
};

UniqueFd copy_of(int fd) {
  UniqueFd copy{::fcntl(fd, F_DUPFD_CLOEXEC, 3)};
  if (!copy.valid()) throw_errno("fcntl");
  return copy;
}

// In a process of the pool.
WorkerReport be_worker(const WorkerOrder& work) {
  const auto board = ipc::Shared<CrewBoard>::attach(copy_of(work.board));
  auto states = JobStates::attach(copy_of(work.states));
  Session session{work.login, work.session, nullptr};
  auto report = Worker{session, work.order, *board, states, work.worker, [] {}}.work();
  session.quit();
  return report;
}

// Tells of each job once that is done.
class Teller {
 public:
  Teller(const Order& order, JobStates& states, ProgressDisplay& display)
      : order_{order}, states_{states}, display_{display} {}

  void tell() {
    for (std::size_t i = first_; i < order_.jobs.size(); ++i) {
      JobState state = states_[i];
      if (state == JobState::done) {
        display_.say((order_.direction == Direction::get ? "got " : "put ") + order_.jobs[i].local);
        states_[i] = state = JobState::told;
      }
      if (i == first_ && state != JobState::waiting) ++first_;
    }
  }

 private:
  const Order& order_;
  JobStates& states_;
  ProgressDisplay& display_;
  std::size_t first_ = 0;  // before it all are told
};

class Crew {
 public:
  Crew(Session& session, const Order& order, const Waiting& waiting, ProgressDisplay& display)
      : session_{session},
        order_{order},
        waiting_{waiting},
        display_{display},
        states_{order.jobs.size()},
        teller_{order, states_, display} {
    if (order.jobs.size() > 1) board_->progress.files = order.jobs.size();
  }

  CrewReport work() {
    const auto jobs = order_.jobs.size();
    const auto workers = std::min<std::size_t>(
        {jobs, static_cast<std::size_t>(order_.parallel), ProgressBoard::kMostWorkers});
    try {
      workers > 1 ? work_together(workers) : work_alone();
    } catch (...) {
      display_.clear();
      throw;
    }
    teller_.tell();
    display_.clear();
    return report();
  }

 private:
  void show() {
    teller_.tell();
    display_.draw(board_->progress);
  }

  void work_alone() {
    Worker worker{session_, order_, *board_, states_, 0, [this] { show(); }};
    auto report = worker.work();
    failures_ = std::move(report.failures);
    first_ = report.first;
  }

  void work_together(std::size_t workers) {
    session_.quit();
    proc::Pool pool{{.workers = static_cast<int>(workers), .name = "ftp"}};
    std::vector<proc::Future<WorkerReport>> futures;
    futures.reserve(workers);
    for (std::size_t i = 0; i < workers; ++i) {
      const WorkerOrder work{.login = session_.login(),
                             .session = session_.options(),
                             .order = order_,
                             .worker = i,
                             .board = board_.fd(),
                             .states = states_.fd()};
      futures.push_back(pool.submit({.idempotent = true}, &be_worker, work));
    }
    while (!std::ranges::all_of(futures, [](const auto& future) { return future.ready(); })) {
      show();
      waiting_.ready_by(pool.fd(), POLLIN, Deadline::in(ProgressDisplay::kInterval));
    }
    for (auto& future : futures) take_report(future);
  }

  void take_report(proc::Future<WorkerReport>& future) {
    try {
      auto report = future.get();
      for (std::string& failure : report.failures) failures_.push_back(std::move(failure));
    } catch (const std::exception& error) {
      troubles_.emplace_back(error.what());
    }
  }

  // What a worker did not live to do, another one has done: it is told only if something is
  // missing.
  CrewReport report() {
    CrewReport report{.done = 0, .failures = std::move(failures_), .first = first_};
    for (const auto& state : states_) report.done += state == JobState::told ? 1 : 0;
    const std::uint64_t missing = order_.jobs.size() - report.done - report.failures.size();
    if (missing > 0) {
      report.failures.insert(report.failures.end(), troubles_.begin(), troubles_.end());
      report.failures.push_back(demo::text(missing, " files were not reached"));
    }
    return report;
  }

  Session& session_;
  const Order& order_;
  const Waiting& waiting_;
  ProgressDisplay& display_;
  ipc::Shared<CrewBoard> board_;
  JobStates states_;
  Teller teller_;
  std::vector<std::string> failures_;
  std::exception_ptr first_;
  std::vector<std::string> troubles_;  // of workers
};

}  // namespace

CrewReport do_jobs(Session& session, const Order& order, const Waiting& waiting,
                   ProgressDisplay& display) {
  if (order.jobs.empty()) return {};
  return Crew{session, order, waiting, display}.work();
}

}  // namespace procpool::ftp_client
