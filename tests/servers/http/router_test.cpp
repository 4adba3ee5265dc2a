// Which handler a request goes to.
#include "servers/http/router.hpp"

#include <string>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"

namespace procpool::http {
namespace {

std::string found(const Router& router, std::string_view path, Method method = Method::get) {
  const Router::Route route = router.find(method, path);
  std::string text;
  if (route.status != Status::ok) {
    text = std::to_string(static_cast<int>(route.status));
    return route.allowed.empty() ? text : text + " " + route.allowed;
  }
  text = std::to_string(route.target);
  for (const auto& [name, value] : route.parameters) text.append(" " + name + "=" + value);
  return text;
}

TEST(Router, finds_patterns_of_whole_segments) {
  Router router;
  router.add(Method::get, "/", 0);
  router.add(Method::get, "/a", 1);
  router.add(Method::get, "/a/", 2);
  router.add(Method::get, "/users/{id}", 3);
  router.add(Method::get, "/users/{id}/posts/{post}", 4);
  EXPECT_EQ(found(router, "/"), "0");
  EXPECT_EQ(found(router, "/a"), "1");
  EXPECT_EQ(found(router, "/a/"), "2");
  EXPECT_EQ(found(router, "/users/42"), "3 id=42");
  EXPECT_EQ(found(router, "/users/42/posts/x"), "4 id=42 post=x");
  for (const char* path : {"/b", "/A", "/users", "/users/", "/users/1/", "/users/1/posts", "//",
                           "//a", "/a//", "/users//posts/x", "/a/b"})
    EXPECT_EQ(found(router, path), "404") << path;
}

TEST(Router, decodes_each_segment_by_itself) {
  Router router;
  router.add(Method::get, "/caf\xc3\xa9/{name}", 1);
  EXPECT_EQ(found(router, "/caf%C3%A9/a%2Fb%20c+d"), "1 name=a/b c+d");
  EXPECT_EQ(found(router, "/%63af\xc3\xa9/x"), "1 name=x");
  EXPECT_EQ(found(router, "/x/%zz"), "400");
  EXPECT_EQ(found(router, "/x/%00"), "400");
  EXPECT_EQ(found(router, "/x/%4"), "400");
}

TEST(Router, gives_no_handler_a_way_up) {
  Router router;
  router.add(Method::get, "/files/{name}", 1);
  for (const char* path : {"/files/..", "/files/.", "/files/%2e%2e", "/files/%2E"})
    EXPECT_EQ(found(router, path), "404") << path;
  EXPECT_EQ(found(router, "/files/..."), "1 name=...");
}

TEST(Router, prefers_what_stands_for_itself_from_the_left) {
  Router router;
  router.add(Method::get, "/{a}/{b}", 1);
  router.add(Method::get, "/x/{b}", 2);
  router.add(Method::get, "/{a}/y", 3);
  router.add(Method::get, "/x/z/1", 4);
  EXPECT_EQ(found(router, "/1/2"), "1 a=1 b=2");
  EXPECT_EQ(found(router, "/x/2"), "2 b=2");
  EXPECT_EQ(found(router, "/x/y"), "2 b=y");
  EXPECT_EQ(found(router, "/1/y"), "3 a=1");
  EXPECT_EQ(found(router, "/x/z"), "2 b=z") << "the way through /x/z leads nowhere";
}

TEST(Router, tells_which_methods_there_are) {
  Router router;
  router.add(Method::get, "/me", 1);
  router.add(Method::put, "/{id}", 2);
  router.add(Method::delete_, "/{id}", 3);
  router.add(Method::post, "/other", 4);
  EXPECT_EQ(found(router, "/me", Method::head), "1");
  EXPECT_EQ(found(router, "/me", Method::put), "2 id=me");
  EXPECT_EQ(found(router, "/me", Method::post), "405 GET, HEAD, PUT, DELETE, OPTIONS");
  EXPECT_EQ(found(router, "/1", Method::get), "405 PUT, DELETE, OPTIONS");
  EXPECT_EQ(found(router, "/1", Method::options), "405 PUT, DELETE, OPTIONS");
}

TEST(Router, refuses_patterns_that_are_none) {
  Router router;
  router.add(Method::get, "/a/{b}", 1);
  router.add(Method::post, "/a/{b}", 2);
  EXPECT_THROW(router.add(Method::get, "/a/{other}", 3), Error);
  EXPECT_THROW(router.add(Method::get, "a", 3), Error);
  EXPECT_THROW(router.add(Method::get, "", 3), Error);
  EXPECT_THROW(router.add(Method::get, "/{}", 3), Error);
  EXPECT_THROW(router.add(Method::get, "/{a}/{a}", 3), Error);
}

}  // namespace
}  // namespace procpool::http
