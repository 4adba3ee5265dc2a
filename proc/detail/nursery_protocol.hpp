// What a Pool and its Nursery's process tell each other over a Channel of their own.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "proc/call.hpp"
#include "proc/detail/image_offset.hpp"
#include "proc/detail/wire.hpp"
#include "proc/exception_type.hpp"
#include "proc/exit_status.hpp"

namespace procpool::proc::detail {

// What all workers of a pool have in common.
struct WorkerSetup {
  std::string name;
  int nice = 0;
  std::vector<int> cpus;            // each worker has one of them, in turns; empty: it has all
  std::uint64_t most_tasks = 0;     // before it is replaced; 0: any number
  std::uint64_t most_resident = 0;  // bytes, the same
  ImageOffset initializer;          // a thunk; none if its image is 0
  Bytes initializer_arguments;
  std::vector<ImageOffset> exceptions;  // the functions ExceptionType::encode
};

Bytes encode(const WorkerSetup& setup);
WorkerSetup decode_setup(View bytes);

// Pool to nursery. The first message is a WorkerSetup, with kSetupDescriptors of which the workers
// have copies, in this order; the others ask for a worker each.
enum SetupDescriptor : std::uint8_t { board, arena, bell };
inline constexpr std::size_t kSetupDescriptors = 3;

struct StartRequest {
  std::uint32_t worker;       // its place
  std::uint32_t incarnation;  // of it
};

// Nursery to pool.
struct WorkerNews {
  enum class Kind : std::uint8_t {
    started,  // a pidfd comes with it
    failed,   // `text` says why
    ended,    // its last line was `text`
  };
  Kind kind;
  StartRequest who;
  pid_t pid = 0;
  ExitStatus status = ExitStatus::exited(0);
  std::string text{};
};

Bytes encode(const WorkerNews& news);
WorkerNews decode_news(View bytes);

}  // namespace procpool::proc::detail
