// An array that several processes share.
//
//   ipc::SharedArray<double> samples{1'000'000};                    // shared with children of fork
//   auto by_name = ipc::SharedArray<double>::open("/samples", 4096); // shared with whoever opens
//   it for (double& sample : samples) sample = 0.5; std::ranges::sort(std::span{samples});
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/detail/type_hash.hpp"
#include "ipc/shared.hpp"
#include "ipc/shared_memory.hpp"

namespace procpool::ipc {

// A fixed number of T, one or more, in a SharedMemory segment of their own, of which this object is
// one of any number of holders. What Shared<T> says of T, of its construction, of fork, names and
// dying processes goes for this too. Elements of a type without a constructor begin as zero.
// A contiguous range: what it lends is valid as long as this object, and is not const in a const
// one. Access to *this is for all threads; access to the elements is as T says: nothing here locks.
template <Shareable T>
class SharedArray {
 public:
  // Anonymous. Throws Error: no elements, or more than there is memory.
  explicit SharedArray(std::size_t count, const SharedMemoryOptions& options = {})
      : memory_{SharedMemory::anonymous(layout(count), construct(count), options)} {}

  // The array of this name, made if there is none. Throws Error, see SharedMemory::open: one that
  // is in use must have as many elements of the same type.
  static SharedArray open(std::string_view name, std::size_t count,
                          const SharedMemoryOptions& options = {}) {
    return SharedArray{SharedMemory::open(name, layout(count), construct(count), options)};
  }

  // An anonymous one, of whatever size, whose descriptor came over a Channel. Throws Error if it is
  // no array of T.
  static SharedArray attach(UniqueFd segment) {
    SharedArray array{SharedMemory::attach(std::move(segment), hash())};
    if (array.memory_.size() % sizeof(T) != 0) {
      throw Error{"attach shared array", {}, "it is no whole number of elements"};
    }
    return array;
  }

  T* data() const noexcept { return std::launder(reinterpret_cast<T*>(memory_.data())); }
  std::size_t size() const noexcept { return memory_.size() / sizeof(T); }
  T& operator[](std::size_t index) const noexcept { return data()[index]; }  // not checked
  T* begin() const noexcept { return data(); }
  T* end() const noexcept { return data() + size(); }

  int fd() const noexcept { return memory_.fd(); }  // lent, to be sent over a Channel

 private:
  explicit SharedArray(SharedMemory memory) noexcept : memory_{std::move(memory)} {}

  static std::uint64_t hash() noexcept { return detail::hash_of_type<T[1]>(); }

  static SharedMemory::Layout layout(std::size_t count) {
    constexpr std::string_view kOperation = "make shared array";
    if (count == 0) throw Error{kOperation, "0", "it must have one element or more"};
    if (count > PTRDIFF_MAX / sizeof(T)) throw_errno(kOperation, std::to_string(count), ENOMEM);
    return {.hash = hash(), .size = count * sizeof(T)};
  }

  static SharedMemory::Construct construct(std::size_t count) {
    return [count](std::byte* at) {
      std::uninitialized_default_construct_n(reinterpret_cast<T*>(at), count);
    };
  }

  SharedMemory memory_;
};

}  // namespace procpool::ipc
