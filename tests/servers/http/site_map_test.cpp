// Which site a request goes to.
#include "servers/http/site_map.hpp"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace procpool::http {
namespace {

Site named(const std::string& name) {
  return [name](const Request&) { return make_page(Status::ok, "", name); };
}

std::string site_of(SiteMap& map, std::string_view path, std::string_view host = "") {
  Request request;
  request.method = Method::get;
  request.path = path;
  request.host = host;
  return map.find(request)(request).page->body;
}

TEST(SiteMap, has_paths_of_whole_segments) {
  SiteMap map{named("fallback")};
  map.add_path({"/a"}, named("a"));
  map.add_path({"/a/b/"}, named("b"));
  for (const auto& [path, name] :
       std::initializer_list<std::pair<const char*, const char*>>{{"/", "fallback"},
                                                                  {"/a", "a"},
                                                                  {"/a/", "a"},
                                                                  {"/a/x", "a"},
                                                                  {"/ab", "fallback"},
                                                                  {"/a/b", "b"},
                                                                  {"/a/b/c", "b"},
                                                                  {"/a/bc", "a"},
                                                                  {"/x/a", "fallback"},
                                                                  {"/A", "fallback"}}) {
    EXPECT_EQ(site_of(map, path), name) << path;
  }
}

TEST(SiteMap, is_not_deceived_by_spelling) {
  SiteMap map{named("fallback")};
  map.add_path({"/private"}, named("private"));
  for (const char* path : {"//private/x", "/./private", "/x/../private/x", "/%70rivate/x",
                           "/private/./x", "/x/%2e%2e/private", "/../private", "///private//"}) {
    EXPECT_EQ(site_of(map, path), "private") << path;
  }
  EXPECT_EQ(site_of(map, "/private/../x"), "fallback");
  EXPECT_EQ(site_of(map, "/%zz/private"), "fallback");
}

TEST(SiteMap, of_everything_beneath_the_root) {
  SiteMap map{named("fallback")};
  map.add_path({"/"}, named("all"));
  EXPECT_EQ(site_of(map, "/"), "all");
  EXPECT_EQ(site_of(map, "/x"), "all");
}

TEST(SiteMap, has_ends_of_names) {
  SiteMap map{named("fallback")};
  map.add_path({"/", ".js"}, named("js"));
  map.add_path({"/", ".min.js"}, named("min"));
  map.add_path({"/a"}, named("a"));
  map.add_path({"/a", ".js"}, named("a js"));
  for (const auto& [path, name] :
       std::initializer_list<std::pair<const char*, const char*>>{{"/", "fallback"},
                                                                  {"/x.js", "js"},
                                                                  {"/b/x.j%73", "js"},
                                                                  {"/b/.js", "js"},
                                                                  {"/x.min.js", "min"},
                                                                  {"/x.js/", "fallback"},
                                                                  {"/x.js/.", "fallback"},
                                                                  {"/x.js/y", "fallback"},
                                                                  {"/x.JS", "fallback"},
                                                                  {"/a/x", "a"},
                                                                  {"/a/x.js", "a js"},
                                                                  {"/a/x.min.js", "a js"}}) {
    EXPECT_EQ(site_of(map, path), name) << path;
  }
}

TEST(SiteMap, has_hosts) {
  SiteMap map{named("fallback")};
  map.add_host({"example.org", "[::1]"}, named("one"));
  const std::size_t wild = map.add_host({"*.example.org"}, named("wild"));
  map.add_host({"*.b.example.org"}, named("b"));
  map.add_host({"a.example.org"}, named("a"));
  map.add_path({"/p"}, named("wild p"), wild);
  for (const auto& [host, name] :
       std::initializer_list<std::pair<const char*, const char*>>{{"", "fallback"},
                                                                  {"other.org", "fallback"},
                                                                  {"example.org", "one"},
                                                                  {"EXAMPLE.org:8080", "one"},
                                                                  {"example.org.", "one"},
                                                                  {"[::1]:8080", "one"},
                                                                  {"[::1]", "one"},
                                                                  {"[::2]", "fallback"},
                                                                  {"a.example.org", "a"},
                                                                  {"x.example.org", "wild"},
                                                                  {"x.y.example.org", "wild"},
                                                                  {"x.b.example.org", "b"},
                                                                  {"b.example.org", "wild"},
                                                                  {".example.org", "fallback"},
                                                                  {"xexample.org", "fallback"}}) {
    EXPECT_EQ(site_of(map, "/", host), name) << host;
  }
  EXPECT_EQ(site_of(map, "/p/x", "x.example.org"), "wild p");
  EXPECT_EQ(site_of(map, "/p/x", "a.example.org"), "a");
}

}  // namespace
}  // namespace procpool::http
