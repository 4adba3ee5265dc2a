// The workers of a pool: processes of this machine, with their tasks in shared memory.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ipc/base/poller.hpp"
#include "ipc/base/unique_fd.hpp"
#include "ipc/channel.hpp"
#include "proc/detail/arena.hpp"
#include "proc/detail/nursery_protocol.hpp"
#include "proc/detail/task_board.hpp"
#include "proc/detail/transport.hpp"
#include "proc/nursery.hpp"
#include "proc/restart_policy.hpp"
#include "proc/timer.hpp"

namespace procpool::proc::detail {

// The master writes tasks into the board's records and arguments into the arena; each worker
// answers in a ring of its own. A worker is known to be dead when the nursery, whose child it is,
// has reaped it, or when both are dead; then everything that it had published is read, and what it
// had in hand comes back as lost. So each item has one end, wherever its worker was killed.
class Crew final : public Transport {
 public:
  struct Options {
    TaskBoard::Size size;
    WorkerSetup setup;
    RestartPolicy restart;  // of workers that did not come up
  };

  // Starts the workers; waits until they are forked, not until they are ready. Throws Error.
  Crew(const Options& options, Nursery& nursery);
  ~Crew() override;  // kills what there is still, in the process that made it

  std::uint32_t capacity() const noexcept override { return board_.size().records; }
  std::optional<TaskId> offer(const Task& task) override;
  void offer_again(TaskId task, std::uint32_t first_item) override;
  bool withdraw(TaskId task) override { return board_.withdraw(task); }
  void release(TaskId task) override;
  Deadline end_overdue(TaskId task, Deadline::Clock::duration limit) override;
  bool receive(Receiver& receiver) override;
  void tend(Receiver& receiver) override;
  std::optional<std::string> unavailable() const override;
  int fd() const noexcept override { return poller_.fd(); }
  void arm() noexcept override { board_.master_asleep().store(1); }
  void disarm() noexcept override { board_.master_asleep().store(0, std::memory_order_relaxed); }
  void wake_at(Deadline deadline) override;
  void close() override;
  void kill() override;
  bool is_deserted() const noexcept override;

  std::vector<pid_t> pids() const;  // of those that are there

 private:
  enum class Phase { absent, starting, present };
  struct Worker {
    RingReader results;
    Phase phase = Phase::absent;
    StartRequest who{};
    pid_t pid = 0;
    UniqueFd pidfd{};
    std::uint64_t received = 0;  // items
    Bytes pieces{};              // of a result
    bool is_trusted = true;      // it wrote no nonsense
    std::size_t failures = 0;    // to come up, in a row
    Deadline start_at = Deadline::now();
  };

  void connect();
  void disconnect();
  void await_start();

  void start_due();
  void start(Worker& worker);
  void put_off(Worker& worker, const std::string& reason);
  void read_news(Receiver* receiver);
  void admit(Worker& worker, pid_t pid, UniqueFd pidfd);
  void lose_all(Receiver* receiver);
  void lose(Worker& worker, const WorkerNews& news, Receiver* receiver);
  void give_back(const Worker& worker, const WorkerNews& news, Receiver& receiver);

  bool read_results(Worker& worker, Receiver& receiver, int most);
  void read_result(Worker& worker, const Frame& frame, Receiver& receiver);

  std::optional<TaskId> take_free() noexcept;
  bool place_payload(TaskRecord& record, const Pieces& payload);
  void free_payload(const TaskRecord& record);
  void wake_workers() noexcept;
  void wake_if_stuck() noexcept;
  void wake(WorkerArea& area) noexcept;
  void set_timer();

  Options options_;
  Nursery& nursery_;
  pid_t owner_;
  ipc::SharedMemory board_memory_;
  TaskBoard board_;
  Arena arena_;
  UniqueFd bell_;
  Timer timer_;
  ImageTable images_;
  Poller poller_;
  std::optional<Nursery::Connection> connection_;
  std::vector<Worker> workers_;
  std::vector<TaskId> free_;
  TaskId never_used_ = 0;  // from here on
  Deadline wake_at_ = Deadline::never();
  Deadline timer_at_ = Deadline::never();
  std::uint64_t waiting_before_ = 0;  // tasks, when it was looked whether anybody takes them
  Deadline stuck_at_ = Deadline::never();
  std::string reason_;
  bool is_ending_ = false;
};

}  // namespace procpool::proc::detail
