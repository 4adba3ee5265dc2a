// The memory of a SharedHeap: given out piece by piece, and growing up to its maximum.
#pragma once

#include <cstddef>
#include <limits>
#include <new>
#include <type_traits>

#include <boost/interprocess/mem_algo/rbtree_best_fit.hpp>
#include <boost/interprocess/offset_ptr.hpp>
#include <boost/interprocess/sync/mutex_family.hpp>

namespace procpool::ipc::detail {

// Lies in a segment at the beginning of the memory that it gives out, and is used under the heap's
// lock only. Has no pointers, so each process may map it at another address.
class HeapArena {
 public:
  static constexpr std::size_t kStep = 4096;  // all sizes are multiples of it
  static constexpr std::size_t kAlignment = 16;

  // Its memory begins with itself. The first `size` bytes may be touched, `maximum` are mapped.
  HeapArena(std::size_t size, std::size_t maximum) : maximum_{maximum}, fit_{size - fit_at(), 0} {}

  // Throws std::bad_alloc when the maximum is reached, and Error when the system has no more
  // memory; nothing is changed then.
  void* allocate(std::size_t bytes);
  void deallocate(void* at) { fit_.deallocate(at); }

  // Of an arena that is new, in memory where a larger one was: beyond its size there is nothing any
  // more, and the system has it back. Throws Error.
  void give_back_the_rest();

  std::size_t size() const { return fit_at() + fit_.get_size(); }  // so far
  std::size_t maximum() const noexcept { return maximum_; }
  std::size_t used() const { return size() - fit_.get_free_memory(); }

 private:
  using Fit = boost::interprocess::rbtree_best_fit<boost::interprocess::null_mutex_family>;

  // From the arena's beginning. (It is no offsetof: this is not a standard-layout type.)
  std::size_t fit_at() const noexcept {
    return static_cast<std::size_t>(reinterpret_cast<const std::byte*>(&fit_) -
                                    reinterpret_cast<const std::byte*>(this));
  }
  void grow_for(std::size_t bytes);

  std::size_t maximum_;
  Fit fit_;  // the last one: its memory lies behind it
};

// A standard allocator for one arena. A value; lies in shared memory with its container.
template <typename T>
class HeapAllocator {
 public:
  using value_type = T;
  using pointer = boost::interprocess::offset_ptr<T>;
  using const_pointer = boost::interprocess::offset_ptr<const T>;

  explicit HeapAllocator(HeapArena& arena) noexcept : arena_{&arena} {}
  template <typename U>
  HeapAllocator(const HeapAllocator<U>& other) noexcept  // NOLINT(google-explicit-constructor)
      : arena_{other.arena_} {}

  pointer allocate(std::size_t count) {
    static_assert(alignof(T) <= HeapArena::kAlignment);
    static_assert(!std::is_pointer_v<T>, "it would point into one process only");
    if (count > std::numeric_limits<std::size_t>::max() / sizeof(T)) throw std::bad_alloc{};
    return static_cast<T*>(arena_->allocate(count * sizeof(T)));
  }
  void deallocate(const pointer& at, std::size_t /*count*/) { arena_->deallocate(at.get()); }

  friend bool operator==(const HeapAllocator& a, const HeapAllocator& b) noexcept {
    return a.arena_ == b.arena_;
  }
  friend bool operator!=(const HeapAllocator& a, const HeapAllocator& b) noexcept {
    return !(a == b);
  }

 private:
  template <typename U>
  friend class HeapAllocator;

  boost::interprocess::offset_ptr<HeapArena> arena_;
};

}  // namespace procpool::ipc::detail
