// Whether a text has these words in it.
//
//   EXPECT_TRUE(contains(run.errors, "no such file")) << run.errors;
#pragma once

#include <string>

namespace procpool::test {

inline bool contains(const std::string& text, const std::string& words) {
  return text.find(words) != std::string::npos;
}

}  // namespace procpool::test
