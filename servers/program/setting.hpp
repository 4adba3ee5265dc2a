// What a program can be told: each thing by a flag, or by the same key of its configuration file.
//
//   struct Options { unsigned workers = 0; std::string root; };
//   constexpr Setting<Options> kSettings[] = {
//       {"workers", "N", "worker processes", Kind::integer, set_number<&Options::workers, 1, 256>},
//       {"root", "DIR", "serve the files beneath it", Kind::text, set_text<&Options::root>}};
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ipc/base/error.hpp"

namespace procpool::program {

// A command line or a file that cannot be used: what() is one line that names the flag, or the
// file, the line, the column and the key: `site.toml:3:8 "root": must be a string`. A program ends
// with status 2 for it.
class OptionsError : public Error {
 public:
  using Error::Error;
  explicit OptionsError(const Error& error) : Error{error} {}  // the same words
};

// Of each key that a file sets, where its value is: "site.toml:3:8". The keys of tables have a
// prefix: "host.0.root"; "host.0." is where the table begins.
using Origins = std::map<std::string, std::string, std::less<>>;

// Throws OptionsError that names the key's origin, or else the flag: the defaults are good.
[[noreturn]] void refuse(const Origins& origins, const std::string& key, std::string_view reason);

using Values = std::vector<std::string>;  // one at least

// What a key of the file may hold. A flag is always text.
enum class Kind { text, texts, integer, integer_or_text, duration, toggle };

// How it is called, and how a value becomes a member of its target. `set` returns the reason why
// not; empty: done. Only `texts` means more than one value; of all others the last one counts.
template <typename Target>
struct Setting {
  const char* key;
  const char* placeholder;
  const char* help;
  Kind kind;
  std::string (*set)(Target&, const Values&);
};

// Null: it is none of these.
template <typename Target, std::size_t size>
const Setting<Target>* find_setting(const Setting<Target> (&all)[size],
                                    std::string_view key) noexcept {
  const auto found =
      std::find_if(std::begin(all), std::end(all),
                   [&](const Setting<Target>& setting) { return key == setting.key; });
  return found == std::end(all) ? nullptr : found;
}

// Each reads one value, or returns the reason why that is none.

// "30s", "500ms" or a number of seconds; from 1 ms to a day.
std::string read_duration(const std::string& text, std::chrono::milliseconds& duration);
// Bytes: "1048576", "1024K", "1M", "1G"; to 2^50.
std::string read_size(const std::string& text, std::uint64_t& size);
std::string read_number(const std::string& text, std::uint64_t low, std::uint64_t high,
                        std::uint64_t& number);
std::string read_toggle(const std::string& text, bool& on);  // "on" or "off"
// Of net::Address: what they all are.
std::string check_addresses(const Values& values);

// For Setting::set, each with the member that it sets.

template <auto member, typename Target>
std::string set_text(Target& target, const Values& values) {
  target.*member = values.back();
  return {};
}

template <auto member, typename Target>
std::string set_toggle(Target& target, const Values& values) {
  bool on = false;
  std::string reason = read_toggle(values.back(), on);
  if (reason.empty()) target.*member = on;
  return reason;
}

template <auto member, std::uint64_t low, std::uint64_t high, typename Target>
std::string set_number(Target& target, const Values& values) {
  std::uint64_t number = 0;
  std::string reason = read_number(values.back(), low, high, number);
  if (reason.empty())
    target.*member = static_cast<std::remove_reference_t<decltype(target.*member)>>(number);
  return reason;
}

template <auto member, typename Target>
std::string set_duration(Target& target, const Values& values) {
  return read_duration(values.back(), target.*member);
}

template <auto member, typename Target>
std::string set_size(Target& target, const Values& values) {
  return read_size(values.back(), target.*member);
}

template <auto member, typename Target>
std::string set_addresses(Target& target, const Values& values) {
  std::string reason = check_addresses(values);
  if (reason.empty()) target.*member = values;
  return reason;
}

// One of `all` by its name_of(); `names` is for people.
template <auto member, const auto& all, const auto& names, typename Target>
std::string set_named(Target& target, const Values& values) {
  const auto named = std::find_if(all.begin(), all.end(),
                                  [&](auto value) { return name_of(value) == values.back(); });
  if (named == all.end())
    return std::string{"must be "} + names + ", not \"" + values.back() + "\"";
  target.*member = *named;
  return {};
}

}  // namespace procpool::program
