#include "servers/http/router.hpp"

#include <algorithm>
#include <optional>

#include "ipc/base/error.hpp"
#include "servers/http/target.hpp"

namespace procpool::http {
namespace {

// Of a path that begins with '/'.
std::vector<std::string_view> segments_of(std::string_view path) {
  std::vector<std::string_view> segments;
  while (!path.empty()) {
    path.remove_prefix(1);
    segments.push_back(path.substr(0, path.find('/')));
    path.remove_prefix(segments.back().size());
  }
  return segments;
}

bool is_parameter(std::string_view segment) noexcept {
  return segment.size() > 1 && segment.front() == '{' && segment.back() == '}';
}

constexpr Method kMethods[] = {Method::get,   Method::head,    Method::post,  Method::put,
                               Method::patch, Method::delete_, Method::mkcol, Method::options};

}  // namespace

std::string_view name_of(Method method) noexcept {
  switch (method) {
    case Method::get:
      return "GET";
    case Method::head:
      return "HEAD";
    case Method::post:
      return "POST";
    case Method::put:
      return "PUT";
    case Method::delete_:
      return "DELETE";
    case Method::options:
      return "OPTIONS";
    case Method::trace:
      return "TRACE";
    case Method::connect:
      return "CONNECT";
    case Method::patch:
      return "PATCH";
    case Method::mkcol:
      return "MKCOL";
    case Method::unknown:
      break;
  }
  return {};
}

void Router::add(Method method, std::string_view pattern, std::size_t target) {
  const auto refuse = [&](std::string_view reason) { throw Error{"route", pattern, reason}; };
  if (!pattern.starts_with('/')) refuse("does not begin with '/'");
  Node* node = &root_;
  std::vector<std::string> names;
  for (const std::string_view segment : segments_of(pattern)) {
    if (!is_parameter(segment)) {
      node = &node->literals[std::string{segment}];
      continue;
    }
    std::string name{segment.substr(1, segment.size() - 2)};
    if (name.empty()) refuse("has a parameter without a name");
    if (std::find(names.begin(), names.end(), name) != names.end())
      refuse("has the parameter \"" + name + "\" twice");
    names.push_back(std::move(name));
    if (!node->parameter) node->parameter = std::make_unique<Node>();
    node = node->parameter.get();
  }
  for (const Target& other : node->targets) {
    if (other.method == method) refuse("is there already");
  }
  node->targets.push_back({method, target, std::move(names)});
}

// Goes through all patterns that fit, the best one first.
class Router::Search {
 public:
  Search(Method method, const std::vector<std::string>& segments)
      : method_{method}, segments_{segments} {}

  bool look_in(const Node& node, std::size_t depth) {
    if (depth == segments_.size()) return take(node);
    const std::string& segment = segments_[depth];
    const auto literal = node.literals.find(segment);
    if (literal != node.literals.end() && look_in(literal->second, depth + 1)) return true;
    if (!node.parameter || segment.empty() || segment == "." || segment == "..") return false;
    values_.push_back(&segment);
    const bool found = look_in(*node.parameter, depth + 1);
    values_.pop_back();
    return found;
  }

  Route result() && {
    if (found_) return std::move(*found_);
    if (allowed_.empty()) return {.status = Status::not_found};
    Route route{.status = Status::method_not_allowed};
    if (allows(Method::get)) allowed_.push_back(Method::head);
    allowed_.push_back(Method::options);
    for (const Method method : kMethods) {
      if (!allows(method)) continue;
      route.allowed.append(route.allowed.empty() ? "" : ", ").append(name_of(method));
    }
    return route;
  }

 private:
  bool allows(Method method) const {
    return std::find(allowed_.begin(), allowed_.end(), method) != allowed_.end();
  }

  bool take(const Node& node) {
    const Target* const target = find(node, method_);
    if (target == nullptr) {
      for (const Target& other : node.targets) allowed_.push_back(other.method);
      return false;
    }
    found_ = Route{.status = Status::ok, .target = target->number};
    for (std::size_t i = 0; i < values_.size(); ++i)
      found_->parameters.emplace_back(target->names[i], *values_[i]);
    return true;
  }

  static const Target* find(const Node& node, Method method) {
    const auto found = std::find_if(node.targets.begin(), node.targets.end(),
                                    [&](const Target& target) { return target.method == method; });
    if (found != node.targets.end()) return &*found;
    return method == Method::head ? find(node, Method::get) : nullptr;
  }

  Method method_;
  const std::vector<std::string>& segments_;
  std::vector<const std::string*> values_;
  std::vector<Method> allowed_;
  std::optional<Route> found_;
};

Router::Route Router::find(Method method, std::string_view path) const {
  std::vector<std::string> segments;
  for (const std::string_view raw : segments_of(path)) {
    auto segment = percent_decoded(raw);
    if (!segment) return {.status = Status::bad_request};
    segments.push_back(std::move(*segment));
  }
  Search search{method, segments};
  search.look_in(root_, 0);
  return std::move(search).result();
}

}  // namespace procpool::http
