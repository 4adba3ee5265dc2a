#include "servers/http/site_map.hpp"

#include <algorithm>

#include "servers/http/detail/grammar.hpp"
#include "servers/http/target.hpp"

namespace procpool::http {
namespace {

std::size_t length(const std::string& suffix) {
  return suffix.size();
}

std::pair<std::size_t, std::size_t> length(const SiteMap::Path& path) {
  return {path.prefix.size(), path.suffix.size()};
}

template <typename Key, typename Value>
void insert_by_length(std::vector<std::pair<Key, Value>>& all, Key key, Value value) {
  const auto place = std::find_if(
      all.begin(), all.end(), [&](const auto& other) { return length(other.first) < length(key); });
  all.emplace(place, std::move(key), std::move(value));
}

}  // namespace

void append_host_name(std::string_view host, std::string& out) {
  const auto colon = host.rfind(':');
  if (colon != host.npos && host.find(']', colon) == host.npos) host = host.substr(0, colon);
  if (host.ends_with('.')) host.remove_suffix(1);
  std::transform(host.begin(), host.end(), std::back_inserter(out), to_lower);
}

SiteMap::SiteMap(Site fallback) {
  hosts_.push_back({.site = std::move(fallback), .paths = {}});
}

std::size_t SiteMap::add_host(const std::vector<std::string>& names, Site site) {
  const std::size_t number = hosts_.size();
  hosts_.push_back({.site = std::move(site), .paths = {}});
  for (const std::string& text : names) {
    std::string name;
    append_host_name(text, name);
    if (name.starts_with("*.")) {
      insert_by_length(suffixes_, name.substr(1), number);
    } else {
      names_.emplace(std::move(name), number);
    }
  }
  return number;
}

void SiteMap::add_path(Path path, Site site, std::size_t host) {
  if (!path.prefix.ends_with('/')) path.prefix.push_back('/');
  insert_by_length(hosts_[host].paths, std::move(path), std::move(site));
}

const SiteMap::Host& SiteMap::find_host(std::string_view host) {
  if (hosts_.size() == 1) return hosts_.front();
  name_.clear();
  append_host_name(host, name_);
  if (const auto exact = names_.find(name_); exact != names_.end()) return hosts_[exact->second];
  for (const auto& [suffix, number] : suffixes_) {
    if (name_.size() > suffix.size() && name_.ends_with(suffix)) return hosts_[number];
  }
  return hosts_.front();
}

const Site& SiteMap::find(const Request& request) {
  const Host& host = find_host(request.host);
  if (host.paths.empty()) return host.site;
  path_.assign(1, '/');
  const ResolvedTarget target = resolve_target(request.path, path_);
  if (target.status != Status::ok) return host.site;
  if (path_ == "/.") path_.pop_back();
  if (!path_.ends_with('/')) path_.push_back('/');
  const std::string_view name =
      target.ends_with_slash ? "" : std::string_view{path_}.substr(0, path_.size() - 1);
  for (const auto& [path, site] : host.paths) {
    if (path_.starts_with(path.prefix) && name.ends_with(path.suffix)) return site;
  }
  return host.site;
}

}  // namespace procpool::http
