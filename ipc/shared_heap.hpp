// Containers that several processes share: maps, vectors and strings in memory that grows.
//
//   ipc::SharedHeap heap{64 << 20};                         // children of fork have it too
//   {
//     auto access = heap.lock();                            // until it is destroyed
//     access.map<int, ipc::heap::string>("users").emplace(7, "ada");    // made if there is none
//   }
//   heap.update([](ipc::HeapAccess& h) { h.vector<double>("x").push_back(0.5); });
//   auto count = heap.read([](const ipc::HeapView& h) { return h.names().size(); });
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <boost/container/map.hpp>
#include <boost/container/scoped_allocator.hpp>
#include <boost/container/string.hpp>
#include <boost/container/vector.hpp>
#include <boost/container_hash/hash.hpp>
#include <boost/unordered_map.hpp>

#include "ipc/base/error.hpp"
#include "ipc/base/unique_fd.hpp"
#include "ipc/detail/heap_arena.hpp"
#include "ipc/detail/type_hash.hpp"
#include "ipc/mutex.hpp"
#include "ipc/shared_memory.hpp"

namespace procpool::ipc {

// What lies in a heap: Boost's containers, which are as the standard's but for the pointers in
// them; numbers; structures of those. Not what points into one process: std::string, std::vector,
// virtual functions. What a container holds gets the heap's allocator by itself:
// map.emplace("key", "value"); where that does not reach, write
// heap::string{"key", access.allocator()}. A string is a std::string_view, and is looked up by one.
namespace heap {

template <typename T>
using Allocator = boost::container::scoped_allocator_adaptor<detail::HeapAllocator<T>>;

using string =
    boost::container::basic_string<char, std::char_traits<char>, detail::HeapAllocator<char>>;

template <typename T>
using vector = boost::container::vector<T, Allocator<T>>;

template <typename Key, typename Value>
using map = boost::container::map<Key, Value, std::less<>, Allocator<std::pair<const Key, Value>>>;

// The same in every process, and for every kind of string; your own types have a hash_value().
struct Hash {
  using is_transparent = void;

  template <typename T>
  std::size_t operator()(const T& value) const {
    if constexpr (std::convertible_to<const T&, std::string_view>) {
      return std::hash<std::string_view>{}(value);
    } else {
      return boost::hash<T>{}(value);
    }
  }
};

template <typename Key, typename Value>
using unordered_map =
    boost::unordered_map<Key, Value, Hash, std::equal_to<>, Allocator<std::pair<const Key, Value>>>;

}  // namespace heap

namespace detail {

struct HeapRoot;

// Computed once: the names of such types have hundreds of letters.
template <typename T>
std::uint64_t heap_type() noexcept {
  static const std::uint64_t hash = hash_of_type<T>();
  return hash;
}

}  // namespace detail

// A process was killed in the middle of an update, so nobody knows what the heap holds: reset() it.
class HeapBroken : public Error {
 public:
  using Error::Error;
};

// The heap, locked for reading. Nothing of it may be used any more when this is destroyed. Move
// only; for the thread that made it, and not longer than its SharedHeap. A child of fork must not
// destroy its copy: end it by _exit(2).
class HeapView {
 public:
  // The T of this name; nullptr: there is none. Throws Error when it is something else than a T.
  template <typename T>
  const T* find(std::string_view name) const {
    return static_cast<const T*>(look_up(name, detail::heap_type<T>()));
  }

  std::vector<std::string> names() const;  // sorted

  // In bytes, with what is needed to keep account of them. What is free may lie in pieces.
  std::size_t maximum() const;
  std::size_t used() const;
  std::size_t free() const { return maximum() - used(); }

 protected:
  friend class SharedHeap;
  HeapView(detail::HeapRoot& root, std::unique_lock<Mutex> lock) noexcept;

  void* look_up(std::string_view name, std::uint64_t type) const;

  std::unique_lock<Mutex> lock_;
  detail::HeapRoot* root_;
};

// The heap, locked for an update. As HeapView; and if its process is killed before it is destroyed,
// the heap is broken. An exception that leaves the update behind breaks nothing: what was changed
// before stays changed.
//
// What needs memory throws std::bad_alloc when the heap's maximum is reached, and Error when the
// system has none left. The containers are whole then, and as they were; but a vector that cannot
// make an element while it moves to a larger place has lost what was in the others (Boost's promise
// is weaker than the standard's here): make the element first, and push_back() that.
class HeapAccess : public HeapView {
 public:
  HeapAccess(HeapAccess&&) noexcept = default;
  HeapAccess& operator=(HeapAccess&&) = delete;
  ~HeapAccess();

  template <typename T>
  T* find(std::string_view name) {
    return static_cast<T*>(look_up(name, detail::heap_type<T>()));
  }

  // The T of this name, made from the arguments if there is none (and from the heap's allocator, if
  // T takes one). Throws Error when it is something else than a T.
  template <typename T, typename... Args>
  T& find_or_construct(std::string_view name, Args&&... args) {
    if (T* const found = find<T>(name)) return *found;
    T* const made = make<T>(std::forward<Args>(args)...);
    try {
      add(name, detail::heap_type<T>(), made);
    } catch (...) {
      destroy(made);
      throw;
    }
    return *made;
  }

  template <typename Key, typename Value>
  heap::map<Key, Value>& map(std::string_view name) {
    return find_or_construct<heap::map<Key, Value>>(name);
  }
  template <typename Key, typename Value>
  heap::unordered_map<Key, Value>& unordered_map(std::string_view name) {
    return find_or_construct<heap::unordered_map<Key, Value>>(name);
  }
  template <typename T>
  heap::vector<T>& vector(std::string_view name) {
    return find_or_construct<heap::vector<T>>(name);
  }
  heap::string& string(std::string_view name) { return find_or_construct<heap::string>(name); }

  // Destroys the T of this name. False: there is none. Throws Error as find().
  template <typename T>
  bool erase(std::string_view name) {
    T* const found = find<T>(name);
    if (found == nullptr) return false;
    remove(name);
    destroy(found);
    return true;
  }

  heap::Allocator<std::byte> allocator() const;

 private:
  friend class SharedHeap;
  using HeapView::HeapView;

  template <typename T, typename... Args>
  T* make(Args&&... args) {
    static_assert(std::is_object_v<T> && !std::is_polymorphic_v<T>);
    detail::HeapAllocator<T> memory{allocator().outer_allocator()};
    const auto at = memory.allocate(1);
    try {
      return std::uninitialized_construct_using_allocator(at.get(), allocator(),
                                                          std::forward<Args>(args)...);
    } catch (...) {
      memory.deallocate(at, 1);
      throw;
    }
  }
  template <typename T>
  void destroy(T* object) {
    std::destroy_at(object);
    detail::HeapAllocator<T>{allocator().outer_allocator()}.deallocate(object, 1);
  }
  void add(std::string_view name, std::uint64_t type, void* object);
  void remove(std::string_view name);
};

// A SharedMemory segment with named containers in it, behind a lock that comes back from the dead;
// of which this object is one of any number of holders. See SharedMemory for fork and names. The
// whole maximum is mapped at once, and memory is taken from the system as it is needed. For all
// threads and processes; each process may map it at another address.
//
// A process that is killed while it only reads, or waits, costs nobody anything. One that is killed
// in the middle of an update leaves the heap broken: everybody gets HeapBroken from then on, until
// somebody empties it. The others go on within kLongestSleep (event_count.hpp).
//
// It is for processes that trust each other: the containers' own pointers cannot be checked.
class SharedHeap {
 public:
  // Anonymous: for this process and its children, and for those to whom fd() is sent. The maximum
  // is in bytes, 8192 or more, and is rounded up to whole pages of 4096. Throws Error.
  explicit SharedHeap(std::size_t maximum);

  // The heap of this name, made if there is none; as in SharedMemory::open. Throws Error: it may be
  // in use with another maximum.
  static SharedHeap open(std::string_view name, std::size_t maximum);

  // An anonymous one whose descriptor came over a Channel. Throws Error.
  static SharedHeap attach(UniqueFd segment, std::size_t maximum);

  // Locks it for an update, or for reading: for one at a time, and not again by a thread that has
  // it (Error EDEADLK). Wait for who has it, unless he is dead. Throw HeapBroken; Error when its
  // memory is corrupted.
  HeapAccess lock();
  HeapView view() const;

  // The same around one function; its result is a copy.
  template <std::invocable<HeapAccess&> Function>
  auto update(Function function) {
    HeapAccess access = lock();  // NOLINT(misc-const-correctness): the function may change it
    return function(access);
  }
  template <std::invocable<const HeapView&> Function>
  auto read(Function function) const {
    const HeapView seen = view();
    return function(seen);
  }

  // Empties it, broken or not, gives memory back to the system, and keeps it locked to be filled
  // again. Nothing is destroyed: no destructor runs.
  HeapAccess reset();

  // The same if it is broken; nullopt: it is not, or not any more. For who has met HeapBroken.
  std::optional<HeapAccess> reset_if_broken();

  std::size_t maximum() const noexcept { return memory_.size(); }
  int fd() const noexcept { return memory_.fd(); }  // lent, to be sent over a Channel

 private:
  explicit SharedHeap(SharedMemory memory) noexcept : memory_{std::move(memory)} {}
  detail::HeapRoot& root() const noexcept;
  std::unique_lock<Mutex> lock_whole() const;
  HeapAccess empty(std::unique_lock<Mutex> lock);

  SharedMemory memory_;
};

}  // namespace procpool::ipc
