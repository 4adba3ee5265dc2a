// From a method and a path to what was registered for them.
//
//   Router router;
//   router.add(Method::get, "/users/{id}", 7);
//   auto route = router.find(Method::get, "/users/42");    // target 7, parameters {{"id", "42"}}
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "servers/http/request.hpp"
#include "servers/http/status.hpp"

namespace procpool::http {

// Patterns are of whole segments: "{name}" stands for any one that is not empty, "." or "..", and
// everything else for itself. What stands for itself wins over a parameter, from the left. "/a/" is
// another path than "/a". Unchanged once it is made; find() is for any number of threads.
class Router {
 public:
  // Throws Error: the pattern does not begin with '/', has a parameter without a name or the same
  // one twice, or is there already with this method.
  void add(Method method, std::string_view pattern, std::size_t target);

  struct Route {
    Status status;             // ok, bad_request (the path is none), not_found or
    std::string allowed = {};  // method_not_allowed: the methods, as `Allow` has them
    std::size_t target = 0;    // when ok
    std::vector<std::pair<std::string, std::string>> parameters = {};  // decoded
  };

  // The path is raw; its segments are decoded, an encoded '/' too. HEAD finds what is there for
  // GET, if nothing is there for itself.
  Route find(Method method, std::string_view path) const;

 private:
  struct Target {
    Method method;
    std::size_t number;
    std::vector<std::string> names;  // of the parameters
  };
  struct Node {
    std::map<std::string, Node, std::less<>> literals;
    std::unique_ptr<Node> parameter;
    std::vector<Target> targets;
  };
  class Search;

  Node root_;
};

std::string_view name_of(Method method) noexcept;  // "GET"; empty for one that is unknown

}  // namespace procpool::http
