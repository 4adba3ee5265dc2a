// An object that several processes share.
//
//   struct Counters { ipc::Mutex mutex; long served = 0; };
//   ipc::Shared<Counters> counters;                            // shared with children of fork
//   auto by_name = ipc::Shared<Counters>::open("/counters");   // shared with whoever opens it
//   std::scoped_lock lock{counters->mutex};
//   ++counters->served;
#pragma once

#include <cstddef>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>

#include "ipc/detail/type_hash.hpp"
#include "ipc/shared_memory.hpp"

namespace procpool::ipc {

// What lies in shared memory must mean the same in every process. The compiler can check this much;
// it cannot see pointers, references, std::string, std::vector or std::function inside T, all of
// which would point into one process only: a T must not have them. No destructor ever runs, because
// nobody can know that he is the last, so T must not need one.
template <typename T>
concept Shareable = std::is_object_v<T> && !std::is_polymorphic_v<T> && !std::is_pointer_v<T> &&
                    std::is_default_constructible_v<T> && std::is_trivially_destructible_v<T> &&
                    alignof(T) <= SharedMemory::kHeaderSize;

// A T in a SharedMemory segment of its own, of which this object is one of any number of holders.
// T's constructor runs once, by the process that makes the segment and before any other sees it.
// The T lasts until its last holder is gone; a name is then free for a new T. Move only; see
// SharedMemory for fork, names and dying processes. Access to *this is for all threads; access to
// the T is as T says.
template <Shareable T>
class Shared {
 public:
  // Anonymous: for this process and its children, and for those to whom fd() is sent.
  Shared() : Shared{SharedMemoryOptions{}} {}  // throws Error
  explicit Shared(const SharedMemoryOptions& options)
      : memory_{SharedMemory::anonymous(layout(), construct, options)} {}

  // The T of this name, made if there is none. The name is as in shm_open(3): "/name". Throws
  // Error, see SharedMemory::open: the name may be in use for something else than a T.
  static Shared open(std::string_view name, const SharedMemoryOptions& options = {}) {
    return Shared{SharedMemory::open(name, layout(), construct, options)};
  }

  // An anonymous one whose descriptor came over a Channel. Throws Error if it is no T.
  static Shared attach(UniqueFd segment) {
    return Shared{SharedMemory::attach(std::move(segment), layout())};
  }

  T* get() const noexcept { return std::launder(reinterpret_cast<T*>(memory_.data())); }
  T& operator*() const noexcept { return *get(); }
  T* operator->() const noexcept { return get(); }

  int fd() const noexcept { return memory_.fd(); }  // lent, to be sent over a Channel

 private:
  explicit Shared(SharedMemory memory) noexcept : memory_{std::move(memory)} {}

  static void construct(std::byte* at) { new (at) T; }

  static SharedMemory::Layout layout() noexcept {
    return {.hash = detail::hash_of_type<T>(), .size = sizeof(T)};
  }

  SharedMemory memory_;
};

}  // namespace procpool::ipc
