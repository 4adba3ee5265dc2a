// How a value travels between processes as bytes.
//
//   template <> struct procpool::ipc::Codec<Job> {                      // for a type of your own
//     static void encode(const Job& job, std::vector<std::byte>& out);  // appends
//     static Job decode(std::span<const std::byte> bytes);              // throws Error on rubbish
//   };
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <ranges>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "ipc/base/error.hpp"

namespace procpool::ipc {

// What is the same in every process when its bytes are. The compiler sees views (std::string_view,
// std::span), but no other pointers and references inside T, which would point into one process
// only: a T must not have them.
template <typename T>
concept Trivial = std::is_trivially_copyable_v<T> && !std::is_pointer_v<T> &&
                  !std::is_member_pointer_v<T> && !std::is_const_v<T> && !std::ranges::view<T>;

// The functions above, for T. There is one for trivially copyable types, std::string and vectors of
// trivially copyable types; codec_cereal.hpp has one for whatever cereal can serialise; for your
// own types specialise it. Both sides must be of one machine and one build of T. decode() is given
// all that encode() appended and nothing more; the bytes come from another process and may be
// anything.
template <typename T>
struct Codec;

template <typename T>
concept Encodable =
    requires(const T& value, std::vector<std::byte>& out, std::span<const std::byte> bytes) {
      Codec<T>::encode(value, out);
      { Codec<T>::decode(bytes) } -> std::same_as<T>;
    };

template <Trivial T>
struct Codec<T> {
  static void encode(const T& value, std::vector<std::byte>& out) {
    const auto bytes = std::as_bytes(std::span{&value, 1});
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  static T decode(std::span<const std::byte> bytes) {
    if (bytes.size() != sizeof(T)) {
      throw Error{"decode", "message", "it has another size than its type"};
    }
    std::array<std::byte, sizeof(T)> copy;
    std::ranges::copy(bytes, copy.begin());
    return std::bit_cast<T>(copy);
  }
};

template <>
struct Codec<std::string> {
  static void encode(const std::string& value, std::vector<std::byte>& out) {
    const auto bytes = std::as_bytes(std::span{value});
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  static std::string decode(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
};

template <Trivial T>
  requires(!std::same_as<T, bool>)  // whose vector has no bytes
struct Codec<std::vector<T>> {
  static void encode(const std::vector<T>& value, std::vector<std::byte>& out) {
    const auto bytes = std::as_bytes(std::span{value});
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  static std::vector<T> decode(std::span<const std::byte> bytes) {
    if (bytes.size() % sizeof(T) != 0) {
      throw Error{"decode", "message", "it is no whole number of elements"};
    }
    std::vector<T> values(bytes.size() / sizeof(T));
    std::ranges::copy(bytes, std::as_writable_bytes(std::span{values}).begin());
    return values;
  }
};

}  // namespace procpool::ipc
