#include "proc/detail/worker_loop.hpp"

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ipc/base/error.hpp"
#include "ipc/base/futex.hpp"
#include "ipc/base/io.hpp"
#include "ipc/shared_memory.hpp"
#include "proc/detail/arena.hpp"
#include "proc/detail/remote_exception.hpp"
#include "proc/detail/task_board.hpp"
#include "proc/detail/thunk.hpp"

namespace procpool::proc::detail {
namespace {

// About as long as a sleep and a wake-up cost: so long a worker looks for its next task awake, and
// so often it takes the time meanwhile.
constexpr std::chrono::microseconds kAwake{50};
constexpr int kLooksBetween = 16;

// For a worker that finds, when it comes back from an item, that it is to die for it.
[[noreturn]] void wait_for_death() {
  for (;;) ::pause();
}

std::uint64_t resident_bytes() {
  const std::string statm = read_file("/proc/self/statm");
  const auto pages = std::stoull(statm.substr(statm.find(' ')));
  return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

// Tells this process from a copy of it.
class Original {
 public:
  Original()
      : page_{::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)} {
    if (page_ == MAP_FAILED) throw_errno("mmap", "worker");
    if (::madvise(page_, kSize, MADV_WIPEONFORK) < 0) throw_errno("madvise", "MADV_WIPEONFORK");
    *static_cast<volatile char*>(page_) = 1;
  }
  Original(const Original&) = delete;
  Original& operator=(const Original&) = delete;
  ~Original() { ::munmap(page_, kSize); }

  bool is_this() const noexcept { return *static_cast<const volatile char*>(page_) != 0; }

 private:
  static constexpr std::size_t kSize = 4096;
  void* page_;
};

class Worker : private ResultSink {
 public:
  explicit Worker(WorkerPlace place)
      : setup_{place.setup},
        who_{place.who},
        bell_{std::move(place.bell)},
        board_memory_{ipc::SharedMemory::attach(std::move(place.board), TaskBoard::kHash)},
        arena_{Arena::attach(std::move(place.arena))},
        board_{board_memory_},
        area_{board_.area(who_.worker)},
        ring_{area_.results, board_.ring(who_.worker)} {}

  int run() {
    await_admission();
    prepare();
    while (const auto task = look_for_task()) {
      area_.state.store(WorkerArea::kBusy);
      work_on(*task);
      if (is_used_up()) break;
    }
    area_.state.store(WorkerArea::kRetired);
    std::fflush(nullptr);
    return 0;
  }

 private:
  void await_admission() {
    for (;;) {
      const std::uint32_t admitted = area_.admitted.load();
      if (admitted == who_.incarnation) return;
      futex_wait(area_.admitted, admitted, Deadline::never());
    }
  }

  void prepare() {
    for (const ImageOffset& place : setup_.exceptions) {
      exceptions_.push_back({reinterpret_cast<decltype(ExceptionType::encode)>(find(place)), {}});
    }
    if (setup_.initializer.image == 0) return;
    class Dropped : public ResultSink {
      void take(View) override {}
    } dropped;
    Invocation call{setup_.initializer_arguments, images_, dropped, scratch_};
    Reader item{setup_.initializer_arguments};
    call.arguments = item.take_block();
    reinterpret_cast<Thunk>(find(setup_.initializer))(call);
  }

  void* find(const ImageOffset& place) {
    void* const address = images_.find(place);
    if (address == nullptr) throw Error{"find function", {}, "this process has no such library"};
    return address;
  }

  // Nullopt: there are to be no more.
  std::optional<std::uint32_t> look_for_task() {
    for (;;) {
      area_.state.store(WorkerArea::kLooking);
      const Deadline sleep_at = Deadline::in(kAwake);
      do {
        for (int i = 0; i < kLooksBetween; ++i) {
          if (const auto task = board_.take(who_.worker)) return task;
          spin_pause();
        }
        if (board_.closing().load() != 0) return std::nullopt;
      } while (!another_looks() && !sleep_at.expired());
      std::fflush(nullptr);
      area_.state.store(WorkerArea::kAsleep);
      if (const auto task = board_.take(who_.worker)) return task;
      if (board_.closing().load() == 0) {
        futex_wait(area_.state, WorkerArea::kAsleep, Deadline::never());
      }
    }
  }

  // One of several is enough to be awake; the others would only keep it from a processor.
  bool another_looks() const noexcept {
    for (std::uint32_t i = 0; i < who_.worker; ++i) {
      if (board_.area(i).state.load(std::memory_order_relaxed) == WorkerArea::kLooking) return true;
    }
    return false;
  }

  void work_on(std::uint32_t index) {
    const TaskRecord& record = board_.record(index);
    task_ = index;
    Reader items{payload_of(record)};
    for (std::uint32_t i = 0; i < record.first_item; ++i) items.take_block();
    Thunk thunk = nullptr;
    const std::uint32_t count = record.items;
    const bool timed = record.is_timed != 0;
    for (std::uint32_t i = record.first_item; i < count; ++i) {
      const View arguments = items.take_block();
      begin_item(timed);
      try {
        if (thunk == nullptr) thunk = thunk_of(record);
        scratch_.clear();
        Invocation call{arguments, images_, *this, scratch_};
        thunk(call);
      } catch (...) {
        end_item();
        send(FrameKind::exception, encode_exception(exceptions_));
      }
    }
    done_ += count;
  }

  View payload_of(const TaskRecord& record) const {
    if (record.payload_size <= TaskRecord::kMostInside) {
      return View{record.inside}.first(record.payload_size);
    }
    return {arena_.data() + record.payload_at, record.payload_size};
  }

  Thunk thunk_of(const TaskRecord& record) {
    void* const address = images_.find(record.thunk);
    if (address == nullptr) throw UnknownImage{record.thunk.image};
    return reinterpret_cast<Thunk>(address);
  }

  void begin_item(bool timed) {
    if (timed) {
      area_.began.store(std::chrono::steady_clock::now().time_since_epoch().count(),
                        std::memory_order_relaxed);
    }
    item_ += WorkerArea::kPhases;
    area_.item.store(item_ | WorkerArea::kRunning, std::memory_order_release);
  }

  // A child that a task forks, and that comes back from it, is not another worker.
  void end_item() {
    if (!original_.is_this()) ::_exit(0);
    std::uint64_t running = item_ | WorkerArea::kRunning;
    if (!area_.item.compare_exchange_strong(running, item_ | WorkerArea::kRest)) wait_for_death();
  }

  void take(View result) override {
    end_item();
    send(FrameKind::value, result);
  }

  void send(FrameKind kind, View content) {
    for (; content.size() > ring_.most(); content = content.subspan(ring_.most())) {
      send_frame(FrameKind::piece, content.first(ring_.most()));
    }
    send_frame(kind, content);
  }

  void send_frame(FrameKind kind, View content) {
    std::byte* const place = reserve(content.size());
    if (!content.empty()) std::memcpy(place, content.data(), content.size());
    ring_.publish(kind, task_);
    auto& asleep = board_.master_asleep();
    if (asleep.load() != 0 && asleep.exchange(0) != 0) ::eventfd_write(bell_.fd(), 1);
  }

  std::byte* reserve(std::size_t size) {
    if (std::byte* const place = ring_.reserve(size)) return place;
    for (;;) {
      const auto seen = area_.room.prepare();
      if (std::byte* const place = ring_.reserve(size)) return place;
      area_.room.wait(seen, Deadline::never());
    }
  }

  bool is_used_up() const {
    return (setup_.most_tasks != 0 && done_ >= setup_.most_tasks) ||
           (setup_.most_resident != 0 && resident_bytes() > setup_.most_resident);
  }

  const WorkerSetup& setup_;
  StartRequest who_;
  Original original_;
  UniqueFd bell_;
  ipc::SharedMemory board_memory_;
  ipc::SharedMemory arena_;
  TaskBoard board_;
  WorkerArea& area_;
  RingWriter ring_;
  ImageTable images_;
  std::vector<ExceptionType> exceptions_;
  Bytes scratch_;
  std::uint32_t task_ = 0;
  std::uint64_t item_ = 0;
  std::uint64_t done_ = 0;
};

}  // namespace

int run_worker(WorkerPlace place) {
  return Worker{std::move(place)}.run();
}

}  // namespace procpool::proc::detail
