// What tells one type, or one size of a thing, from another one in a segment that was found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <typeinfo>

namespace procpool::ipc::detail {

// FNV-1a over the type's name, which gcc and clang spell alike (Itanium C++ ABI), its size and
// alignment, and further numbers. Two programs that give one name to types of one size but with
// other members are not told apart.
template <typename T>
std::uint64_t hash_of_type(std::initializer_list<std::size_t> numbers = {}) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto mix = [&hash](std::uint64_t value) { hash = (hash ^ value) * 0x100000001b3; };
  for (const char character : std::string_view{typeid(T).name()}) {
    mix(static_cast<unsigned char>(character));
  }
  mix(sizeof(T));
  mix(alignof(T));
  for (const std::size_t number : numbers) mix(number);
  return hash;
}

}  // namespace procpool::ipc::detail
