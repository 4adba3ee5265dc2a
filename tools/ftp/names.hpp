// Names and words that come from a server, who may mean ill.
//
//   if (!is_safe_name(entry.name)) note(printable(entry.name));
#pragma once

#include <string>
#include <string_view>

namespace procpool::ftp_client {

// One name of a directory, and no way out of it: not empty, not "." or "..", at most 255 bytes,
// without '/' and control bytes.
bool is_safe_name(std::string_view name) noexcept;

// What a terminal would obey is '?': control bytes, and those of C1 in UTF-8.
std::string printable(std::string_view text);

// It can be a part of one line of the control connection: without CR, LF and NUL.
bool fits_a_line(std::string_view text) noexcept;

// "a", "/a" and "a/" + "b": with one slash between them.
std::string joined(std::string_view folder, std::string_view name);

}  // namespace procpool::ftp_client
