// procpool-ftp, run to its end, and trees to try it on.
//
//   make_tree(folder, 100);
//   EXPECT_EQ(ftp({"mirror", url, copy}).status, ExitStatus::exited(0));
//   EXPECT_EQ(differences(folder, copy), Names{});
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "ipc/base/io.hpp"
#include "proc/exit_status.hpp"
#include "tests/tools/tool.hpp"

namespace procpool::test {

using Names = std::vector<std::string>;

inline Ran ftp(const std::vector<std::string>& arguments) {
  return run_tool(PROCPOOL_FTP, arguments);
}

// What a tree holds: the content of each file by its path.
inline std::map<std::string, std::string> content_of(const std::filesystem::path& root) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator{root}) {
    if (entry.is_regular_file())
      files[entry.path().lexically_relative(root)] = read_file(entry.path());
  }
  return files;
}

// The names of those that differ, or that only one of them has.
inline Names differences(const std::filesystem::path& left, const std::filesystem::path& right) {
  auto theirs = content_of(right);
  Names names;
  for (const auto& [name, content] : content_of(left)) {
    const auto same = theirs.find(name);
    if (same == theirs.end() || same->second != content) names.push_back(name);
    theirs.erase(name);
  }
  for (const auto& [name, content] : theirs) names.push_back(name);
  return names;
}

// Names that programs forget about; and some that not every server wants.
inline const Names odd_names{"a b",  "it's",   "\"quoted\"", "-R",  "f\xc3\xbc\xc3\x9f", "100%",
                             "a;id", "tab[1]", ".hidden",    "a&b", "lat\xe9",           "#x"};
inline const Names oddest_names{"lat\xff", " lead", "back\\", "trailing "};

// With names like these, and sizes around those of buffers.
inline void make_tree(const std::filesystem::path& root, int files, const Names& odd = odd_names) {
  for (int i = 0; i < files; ++i) {
    const auto folder = root / ("folder " + std::to_string(i % 7)) / ("-" + std::to_string(i % 3));
    std::filesystem::create_directories(folder);
    const auto size = static_cast<std::size_t>(i % 50 == 0 ? 65'536 + i : i % 1000 * 3);
    std::ofstream{folder / ("file" + std::to_string(i)), std::ios::binary}
        << std::string(size, static_cast<char>('a' + i % 26));
  }
  for (const std::string& name : odd) std::ofstream{root / name} << name;
  std::filesystem::create_directories(root / ".empty \"folder\"");
}

}  // namespace procpool::test
