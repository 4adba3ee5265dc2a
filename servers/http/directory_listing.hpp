// What is in a directory, for people and for programs, piece by piece.
//
//   DirectoryListing listing{root.fd(), "music", {.order = parse_listing_order(request.query)}};
//   std::string page;
//   while (listing.append_more(page)) send_and_clear(page);
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ipc/base/unique_fd.hpp"

namespace procpool::http {

// How a listing is wanted: "?sort=size&order=desc&format=json". What is not understood is ignored.
struct ListingOrder {
  enum class Key { name, size, time };
  enum class Format { html, json };

  Key key = Key::name;
  bool descending = false;
  Format format = Format::html;

  bool operator==(const ListingOrder&) const = default;
};
ListingOrder parse_listing_order(std::string_view query) noexcept;

struct ListingOptions {
  ListingOrder order = {};
  bool dot_files = false;  // list names that begin with '.'
  bool symlinks = true;    // list what they lead to, if it lies beneath the root
};

// Directories come first. Files that are neither regular nor directories, and links that lead
// nowhere or out of the root, are not listed. The names are read and sorted at once, and looked at
// as they are written; only the order by size or time has to look at all of them before. Of one
// thread.
//
// The JSON is an array of {"name", "type": "file"|"directory", "size", "modified": seconds since
// 1970}; bytes of names that are not UTF-8 are replaced by U+FFFD there, and directories have no
// size.
class DirectoryListing {
 public:
  static constexpr std::size_t kPiece = std::size_t{32} << 10;

  // `root` is an open directory that outlives this, `name` is relative to it and without '/' at its
  // ends ("." for the root itself). Throws Error if it cannot be read.
  DirectoryListing(int root, std::string name, ListingOptions options);

  // Appends about kPiece bytes; false: that was the end.
  bool append_more(std::string& out);

 private:
  struct Item {
    std::string name;
    bool directory = false;
    bool link = false;
    std::optional<struct stat> facts = std::nullopt;
  };

  void read_names();
  bool look_at(Item& item) const;
  void sort();
  void append_begin(std::string& out) const;
  void append_item(const Item& item, std::string& out);
  void append_end(std::string& out) const;

  int root_;
  std::string name_;
  UniqueFd directory_;
  ListingOptions options_;
  std::vector<Item> items_;
  std::size_t next_ = 0;
  bool first_ = true;  // nothing was written yet
  bool empty_ = true;  // no item was written yet
};

}  // namespace procpool::http
