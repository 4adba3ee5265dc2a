// The names of files as a client says them: from the root of what he sees.
//
//   resolve("/a/b", "../c");                         // "/a/c"
//   resolve("/a/b", "/../..");                       // "/": there is nothing above the root
#pragma once

#include <string>
#include <string_view>

namespace procpool::ftp {

// `path` as seen from the directory `from`, absolute, without "." and ".." and without a slash at
// the end. By words alone: the kernel decides where links lead, and that nothing is outside.
std::string resolve(std::string_view from, std::string_view path);

// The last name of an absolute path, and what is before it: "/" has the name "".
std::string_view name_of(std::string_view path) noexcept;
std::string parent_of(std::string_view path);

// Whether `name` matches a pattern of '*', '?' and '[...]', glob(7). Takes time in proportion to
// the product of their lengths at worst, whatever the pattern.
bool matches(std::string_view pattern, std::string_view name) noexcept;
bool is_pattern(std::string_view text) noexcept;

}  // namespace procpool::ftp
