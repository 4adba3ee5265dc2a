#include "servers/program/setting.hpp"

#include <charconv>
#include <cmath>
#include <cstddef>
#include <system_error>

#include "servers/net/address.hpp"

namespace procpool::program {

void refuse(const Origins& origins, const std::string& key, std::string_view reason) {
  const auto origin = origins.find(key);
  if (origin == origins.end()) throw OptionsError{"option", "--" + key, reason};
  throw OptionsError{origin->second, key, reason};
}

std::string read_duration(const std::string& text, std::chrono::milliseconds& duration) {
  constexpr double kShortest = 0.001;
  constexpr double kLongest = 86'400;
  const char* const end = text.data() + text.size();
  double number = 0;
  const auto parsed = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  const std::string_view unit{parsed.ptr, static_cast<std::size_t>(end - parsed.ptr)};
  const double seconds = unit == "ms" ? number / 1000 : number;
  const bool known_unit = unit.empty() || unit == "s" || unit == "ms";
  if (parsed.ec != std::errc{} || !known_unit || !(seconds >= kShortest && seconds <= kLongest)) {
    return "must be a time from 1ms to 86400s, as 2.5, \"30s\" or \"500ms\", not \"" + text + "\"";
  }
  duration = std::chrono::milliseconds{std::llround(seconds * 1000)};
  return {};
}

std::string read_size(const std::string& text, std::uint64_t& size) {
  constexpr std::uint64_t kLargest = std::uint64_t{1} << 50;
  const char* const end = text.data() + text.size();
  std::uint64_t number = 0;
  const auto parsed = std::from_chars(text.data(), end, number);
  const std::string_view unit{parsed.ptr, static_cast<std::size_t>(end - parsed.ptr)};
  const auto shift = unit.empty() ? 0 : unit == "K" ? 10 : unit == "M" ? 20 : unit == "G" ? 30 : -1;
  if (parsed.ec != std::errc{} || shift < 0 || number > kLargest >> shift)
    return "must be a number of bytes, as 1048576, \"1024K\" or \"1M\", not \"" + text + "\"";
  size = number << shift;
  return {};
}

std::string read_number(const std::string& text, std::uint64_t low, std::uint64_t high,
                        std::uint64_t& number) {
  const char* const end = text.data() + text.size();
  std::uint64_t read = 0;
  const auto parsed = std::from_chars(text.data(), end, read);
  if (parsed.ec == std::errc{} && parsed.ptr == end && read >= low && read <= high) {
    number = read;
    return {};
  }
  return "must be a whole number from " + std::to_string(low) + " to " + std::to_string(high) +
         ", not \"" + text + "\"";
}

std::string read_toggle(const std::string& text, bool& on) {
  if (text != "on" && text != "off") return "must be on or off, not \"" + text + "\"";
  on = text == "on";
  return {};
}

std::string check_addresses(const Values& values) {
  if (values.empty()) return "needs one address at least";
  try {
    for (const std::string& address : values) net::Address::parse(address);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace procpool::program
