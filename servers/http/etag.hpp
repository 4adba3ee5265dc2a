// The entity tag of a file (RFC 9110 §8.8.3).
//
//   struct stat file;
//   ::fstat(fd, &file);
//   append_etag(file, out);         // "1f5a-400-17f3a2b9c4d5e6f0", with its quotes
#pragma once

#include <sys/stat.h>

#include <string>
#include <string_view>

namespace procpool::http {

// A strong tag out of inode, size and modification time in nanoseconds: two different contents
// under one name have two tags, unless a file is changed twice within one tick of the file system's
// clock and keeps its size.
void append_etag(const struct stat& file, std::string& out);

// The tag of what gzip makes of that file here: "1f5a-400-17f3a2b9c4d5e6f0-gzip".
std::string gzip_etag(std::string_view etag);

}  // namespace procpool::http
