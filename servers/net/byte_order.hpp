// Numbers as they travel: in a byte order that does not depend on the machine.
//
//   append_number<std::uint32_t>(out, 4711, std::endian::big);       // network byte order
//   auto number = read_number<std::uint32_t>(bytes, std::endian::big);
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>

namespace procpool::net {

// The same number with its bytes in the other order, if `order` is not this machine's: what
// htonl(3) does for one order and one size.
template <std::unsigned_integral T>
constexpr T in_order(T number, std::endian order) noexcept {
  if (order == std::endian::native) return number;
  auto bytes = std::bit_cast<std::array<std::byte, sizeof(T)>>(number);
  std::ranges::reverse(bytes);
  return std::bit_cast<T>(bytes);
}

template <std::unsigned_integral T>
void append_number(std::string& out, T number, std::endian order) {
  const auto bytes = std::bit_cast<std::array<char, sizeof(T)>>(in_order(number, order));
  out.append(bytes.data(), bytes.size());
}

// Of the first sizeof(T) bytes: there must be so many.
template <std::unsigned_integral T>
constexpr T read_number(std::string_view bytes, std::endian order) noexcept {
  std::array<char, sizeof(T)> copy{};
  std::copy_n(bytes.begin(), sizeof(T), copy.begin());
  return in_order(std::bit_cast<T>(copy), order);
}

}  // namespace procpool::net
