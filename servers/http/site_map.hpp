// Which site answers a request: by its host, then by its path.
//
//   SiteMap map{fallback};                      // for hosts that nobody else has
//   map.add_path({.prefix = "/private"}, guarded);
//   std::size_t host = map.add_host({"example.org", "*.example.org"}, site);
//   Site site = [map = std::move(map)](const Request& r) mutable { return map.find(r)(r); };
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "servers/http/page.hpp"
#include "servers/http/request.hpp"
#include "servers/http/site.hpp"

namespace procpool::http {

// Built once, then asked; of one thread.
//
// The prefix of a path is of whole segments: "/private" (or "/private/") has /private and what is
// beneath it, and not /privateer. The longest one that fits wins, and of several with the same one
// that with the longest suffix, which is the end of the last segment: ".html" has /a.html, and
// neither /a.html/ nor / if that is answered by index.html. The path is compared with the target as
// it will be looked up, decoded and without dots, so that no spelling gets around it. A host is
// compared without case, port and final dot; "*.example.org" stands for every name that ends so,
// the longest wins, and a name in full wins over all of them.
class SiteMap {
 public:
  struct Path {
    std::string prefix;
    std::string suffix = {};
  };

  explicit SiteMap(Site fallback);

  // Returns the number of the host, for add_path. Host 0 is the fallback.
  std::size_t add_host(const std::vector<std::string>& names, Site site);
  void add_path(Path path, Site site, std::size_t host = 0);

  // Allocates nothing once its buffers have grown.
  const Site& find(const Request& request);

 private:
  struct Host {
    Site site;
    std::vector<std::pair<Path, Site>> paths;  // "/private/", the longest first
  };

  const Host& find_host(std::string_view name);

  std::vector<Host> hosts_;
  std::map<std::string, std::size_t, std::less<>> names_;
  std::vector<std::pair<std::string, std::size_t>> suffixes_;  // ".example.org", the longest first
  std::string name_;
  std::string path_;
};

// The host without port and final dot, in small letters, appended to `out`.
void append_host_name(std::string_view host, std::string& out);

}  // namespace procpool::http
