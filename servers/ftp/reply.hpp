// What a client is told: RFC 959 §4.2.
//
//   reply(257, quoted_path("/a\"b") + " is the current directory");
//   reply(211, "Features:", {" UTF8", " MDTM"}, "End");
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace procpool::ftp {

// One line. What would end it, or what a terminal would obey, is a '?' in it.
std::string reply(int code, std::string_view text);

// Several: the first and the last have the code. A line in between that begins with a digit is
// indented, so that nobody takes it for the last one.
std::string reply(int code, std::string_view first, const std::vector<std::string>& between,
                  std::string_view last);

// A path as 257 has it: in quotes, those within it doubled. RFC 959, appendix II.
std::string quoted_path(std::string_view path);

// How a file operation that failed with this errno is answered, RFC 959 §4.2.2: 450 to 553.
int code_of_errno(int error) noexcept;

}  // namespace procpool::ftp
