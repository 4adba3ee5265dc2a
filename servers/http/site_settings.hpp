// What can be said of the files beneath a root: for all of them, for a host, or for a path.
//
//   SiteSettings settings{.root = "/srv/www", .gzip = false};
//   Site site = make_file_site(settings, types, worker.loop());
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "servers/http/basic_authentication.hpp"
#include "servers/http/status.hpp"

namespace procpool::http {

// 301, 302, 303, 307 or 308, and where to. With a '*' at its end, what the path has behind the
// prefix that it was found by, and the query, take its place.
struct Redirection {
  Status status = Status::moved_permanently;
  std::string location;

  bool operator==(const Redirection&) const = default;
};

// A value.
struct SiteSettings {
  std::string root;      // empty: the built-in site
  std::string cgi = {};  // programs beneath it answer, instead of files; empty: none

  bool gzip = true;            // compress text on the fly for who takes it
  bool precompressed = false;  // send file.br and file.gz for `file`, unless they are older
  bool listing = false;        // show what is in a directory that has no index.html
  bool dot_files = false;      // serve what has a segment that begins with '.'
  bool symlinks = true;        // follow links that stay beneath the root
  bool writable = false;       // PUT and DELETE

  std::vector<std::string> headers = {};        // "Name: value", in every answer
  std::string cache_control = {};               // of files; empty: none
  std::map<int, std::string> error_pages = {};  // by status, beneath the root
  std::optional<Redirection> redirect = {};     // instead of files
  Users users = {};                             // who may ask; empty: everybody
  std::string realm = "procpool";               // what the others are asked for

  bool operator==(const SiteSettings&) const = default;
};

// For what lies beneath a path or is called alike, and for the hosts of some names: SiteMap says
// which.
struct PathSettings {
  std::string prefix;
  std::string suffix = {};
  SiteSettings site;

  bool operator==(const PathSettings&) const = default;
};
struct HostSettings {
  std::vector<std::string> names;
  SiteSettings site;
  std::vector<PathSettings> paths;

  bool operator==(const HostSettings&) const = default;
};

}  // namespace procpool::http
