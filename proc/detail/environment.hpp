// Variables that are meant for this process and not for its children.
//
//   if (auto text = take_variable("LISTEN_FDS")) count = whole_number("LISTEN_FDS", *text);
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace procpool::proc::detail {

// The variable's text, and it is no longer there; nullopt: it was not, or is empty. setenv(3):
// while no other thread uses the environment.
std::optional<std::string> take_variable(const char* name);

// Throws Error naming the variable unless the text is a decimal number from 0 to `most`.
std::uint64_t whole_number(const char* name, const std::string& text, std::uint64_t most);

}  // namespace procpool::proc::detail
