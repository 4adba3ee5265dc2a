#include "proc/pool.hpp"

#include <bit>

#include "ipc/base/error.hpp"
#include "proc/cpu_count.hpp"
#include "proc/detail/crew.hpp"

namespace procpool::proc {
namespace {

detail::WorkerSetup setup_of(const PoolOptions& options) {
  detail::ImageTable images;
  detail::WorkerSetup setup;
  setup.name = options.name;
  setup.nice = options.nice;
  setup.cpus = options.cpus;
  setup.most_tasks = options.most_tasks.value_or(0);
  setup.most_resident = options.most_resident_bytes.value_or(0);
  if (options.initializer) {
    setup.initializer = images.locate(reinterpret_cast<const void*>(options.initializer->thunk()));
    setup.initializer_arguments = options.initializer->arguments();
  }
  for (const ExceptionType& type : options.exceptions) {
    setup.exceptions.push_back(images.locate(reinterpret_cast<const void*>(type.encode)));
  }
  return setup;
}

detail::TaskBoard::Size size_of(const PoolOptions& options) {
  constexpr int kMostWorkers = 4096;
  constexpr std::uint32_t kMostTasks = 1U << 22U;
  const int workers = options.workers != 0 ? options.workers : available_cpus();
  if (workers < 1 || workers > kMostWorkers) {
    throw Error{"make", "pool", "it must have 1 to 4096 workers"};
  }
  if (options.queue_capacity < 1 || options.queue_capacity > kMostTasks) {
    throw Error{"make", "pool", "its queue must have room for 1 to 4194304 tasks"};
  }
  if (options.most_tasks == 0U || options.most_resident_bytes == 0U) {
    throw Error{"make", "pool", "a worker must be allowed one task, and some memory"};
  }
  return {.workers = static_cast<std::uint32_t>(workers),
          .records = std::bit_ceil(options.queue_capacity)};
}

}  // namespace

PoolOptions Pool::with_workers(int workers) {
  if (workers < 1) throw Error{"make", "pool", "it must have 1 to 4096 workers"};
  PoolOptions options;
  options.workers = workers;
  return options;
}

Pool::Pool(const PoolOptions& options) : own_nursery_{std::make_unique<Nursery>()} {
  start(options, *own_nursery_);
}

Pool::Pool(const PoolOptions& options, Nursery& nursery) {
  start(options, nursery);
}

Pool::Pool(Pool&&) noexcept = default;

Pool& Pool::operator=(Pool&& other) noexcept {
  if (this != &other) {
    std::destroy_at(this);
    std::construct_at(this, std::move(other));
  }
  return *this;
}

Pool::~Pool() {
  if (scheduler_ && scheduler_->is_usable()) scheduler_->terminate();
}

void Pool::start(const PoolOptions& options, Nursery& nursery) {
  const auto size = size_of(options);
  auto crew = std::make_unique<detail::Crew>(
      detail::Crew::Options{.size = size, .setup = setup_of(options), .restart = options.restart},
      nursery);
  crew_ = crew.get();
  workers_ = size.workers;
  scheduler_ = std::make_shared<detail::Scheduler>(std::move(crew), options.exceptions);
}

void Pool::shutdown() {
  close();
  scheduler_->drive_until([&] { return scheduler_->unsettled() == 0; }, Deadline::never());
  crew_->close();
  scheduler_->drive_until([&] { return crew_->is_deserted(); }, Deadline::never());
}

void Pool::terminate() {
  scheduler_->terminate();
}

std::vector<pid_t> Pool::worker_pids() const {
  return crew_->pids();
}

}  // namespace procpool::proc
