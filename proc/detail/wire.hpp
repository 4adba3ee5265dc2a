// Values one behind the other as bytes, for those who know which ones they are.
//
//   Bytes out; put(out, job_number); put_block(out, name);
//   Reader in{out}; auto number = in.take<int>(); View name = in.take_block();
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "ipc/base/error.hpp"

namespace procpool::proc::detail {

using Bytes = std::vector<std::byte>;
using View = std::span<const std::byte>;

template <typename T>
  requires std::is_trivially_copyable_v<T>
View view_of(const T& value) noexcept {
  return std::as_bytes(std::span{&value, 1});
}

template <typename T>
  requires std::is_trivially_copyable_v<T>
void put(Bytes& out, const T& value) {
  const View bytes = view_of(value);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// With its length before it.
inline void put_block(Bytes& out, View block) {
  put<std::uint64_t>(out, block.size());
  out.insert(out.end(), block.begin(), block.end());
}
inline void put_text(Bytes& out, std::string_view text) {
  put_block(out, std::as_bytes(std::span{text}));
}

// Throws Error when there are not so many bytes.
class Reader {
 public:
  explicit Reader(View bytes) noexcept : rest_{bytes} {}

  template <typename T>
    requires std::is_trivially_copyable_v<T>
  T take() {
    std::array<std::byte, sizeof(T)> copy;
    std::memcpy(copy.data(), take_bytes(sizeof(T)).data(), sizeof(T));
    return std::bit_cast<T>(copy);
  }
  View take_bytes(std::uint64_t size) {
    if (size > rest_.size()) throw Error{"decode", "message", "it ends too early"};
    const View bytes = rest_.first(size);
    rest_ = rest_.subspan(size);
    return bytes;
  }
  View take_block() { return take_bytes(take<std::uint64_t>()); }
  std::string take_text() {
    const View block = take_block();
    return {reinterpret_cast<const char*>(block.data()), block.size()};
  }
  View take_rest() noexcept { return std::exchange(rest_, {}); }

 private:
  View rest_;
};

}  // namespace procpool::proc::detail
