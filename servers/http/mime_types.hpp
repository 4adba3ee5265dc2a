// Media types by the extension of a file's name.
//
//   const auto types = MimeTypes::load("/etc/mime.types");
//   types.of("index.HTML");      // "text/html; charset=utf-8"
//   types.of("README");          // "application/octet-stream"
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace procpool::http {

// A table, unchanged once it is made: readable by any number of threads, inherited over fork.
//
// What is text/* is said to be in UTF-8: without a charset each browser would guess. Files in other
// encodings have to be converted. Types that define their own encoding (JSON, SVG, XML) stay as
// they are.
class MimeTypes {
 public:
  // What a site needs to be displayed, when the system has no table.
  static MimeTypes built_in();

  // The built-in table, and over it the file's: `type extension...` in each line, # begins a
  // comment. A file that does not exist leaves the built-in table; one that cannot be read throws
  // Error.
  static MimeTypes load(const std::string& path);

  // The type for the extension behind the last '.' of the path's last segment, in any case. Never
  // allocates. The view lives as long as the table.
  std::string_view of(std::string_view path) const noexcept;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>{}(text);
    }
  };

  void add(std::string_view extension, std::string_view type);

  std::unordered_map<std::string, std::string, Hash, std::equal_to<>> types_;
};

}  // namespace procpool::http
