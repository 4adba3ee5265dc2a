// Media types by the extension of a file's name.
//
//   MimeTypesFile file{"/etc/mime.types"};
//   const MimeTypes types = file.current();
//   types.of("index.HTML");      // "text/html; charset=utf-8"
//   types.of("README");          // "application/octet-stream"
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace procpool::http {

// A table, unchanged once it is made: readable by any number of threads, inherited over fork. A
// value; copies share the table.
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

  using Table = std::unordered_map<std::string, std::string, Hash, std::equal_to<>>;

  static Table built_in_table();
  static void add(Table& table, std::string_view extension, std::string_view type);
  explicit MimeTypes(Table table) : table_{std::make_shared<const Table>(std::move(table))} {}

  std::shared_ptr<const Table> table_;
};

// The table of a file, which is read again only when that has changed: it is long. For one thread.
class MimeTypesFile {
 public:
  explicit MimeTypesFile(std::string path) : path_{std::move(path)} {}

  MimeTypes current();  // throws Error, as MimeTypes::load

 private:
  struct Version {
    std::uint64_t device = 0;
    std::uint64_t number = 0;  // of its inode
    std::int64_t size = -1;    // there is none
    std::int64_t changed = 0;  // in nanoseconds
    bool operator==(const Version&) const = default;
  };
  Version version() const;

  std::string path_;
  Version read_{};
  std::optional<MimeTypes> types_{};
};

}  // namespace procpool::http
