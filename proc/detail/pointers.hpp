// Texts as the kernel takes them.
#pragma once

#include <string>
#include <vector>

namespace procpool::proc::detail {

// Ends with nullptr. Valid as long as the strings are, and they do not change.
inline std::vector<char*> pointers_to(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const std::string& text : strings) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace procpool::proc::detail
