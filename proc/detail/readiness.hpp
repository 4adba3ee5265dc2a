// What a supervised child says once, down a pipe: that it is ready, or why it will not be.
//
//   say_failed(writer, "port 80 is in use");                       // in the child
//   if (auto said = read_readiness(reader)) ...                    // in its supervisor
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace procpool::proc::detail {

// If nobody is there to read it, nothing happens.
void say_ready(int writer) noexcept;
void say_failed(int writer, std::string_view reason);  // its first 4 KB

struct Readiness {
  enum class Kind : std::uint8_t { ready, failed, silent };  // silent: it will not say anything
  Kind kind;
  std::string reason{};
};

// Without blocking; nullopt: nothing yet.
std::optional<Readiness> read_readiness(int reader);

}  // namespace procpool::proc::detail
