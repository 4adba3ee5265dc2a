// What can be said of the files beneath a root: for all of them, for a host, or for a path.
//
//   SiteSettings settings{.root = "/srv/www", .gzip = false};
//   Site site = make_file_site(settings, types, worker.loop());
#pragma once

#include <string>

namespace procpool::http {

// A value.
struct SiteSettings {
  std::string root;  // empty: the built-in site

  bool gzip = true;            // compress text on the fly for who takes it
  bool precompressed = false;  // send file.br and file.gz for `file`, unless they are older
  bool dot_files = false;      // serve what has a segment that begins with '.'
  bool symlinks = true;        // follow links that stay beneath the root

  bool operator==(const SiteSettings&) const = default;
};

}  // namespace procpool::http
