// What a CGI program is told of its request: RFC 3875 §4.1.
//
//   std::vector<std::string> environment = make_cgi_environment(exchange, script, body.size());
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "servers/http/responder.hpp"

namespace procpool::http {

// The program that a path leads to.
struct CgiScript {
  std::string file{};       // where it lies
  std::string name{};       // SCRIPT_NAME: "/cgi-bin/hello"; decoded, as path_info is
  std::string path_info{};  // what the path has behind that: "/a/b", or empty
  std::string root{};       // of the files of the same site, for PATH_TRANSLATED; may be empty
  std::optional<std::string> user = {};  // REMOTE_USER, when the server has asked for it
};

// "NAME=value" each: the meta-variables of RFC 3875, further DOCUMENT_ROOT, REQUEST_URI,
// REMOTE_PORT, SCRIPT_FILENAME and SERVER_ADDR, which programs expect, REDIRECT_STATUS, without
// which php-cgi does not run, and PATH. Nothing else of the server's environment.
//
// Fields of the request become HTTP_*, repeated ones as one list. Left out are those that tell
// passwords, or how the body was sent; Proxy, because HTTP_PROXY would send a program's own
// requests through whom the client likes (httpoxy.org); and names of other characters than letters,
// digits and '-', because "X_A" would pass for "X-A".
//
// `body_size` is of a body that has come; nullopt: the request has none.
std::vector<std::string> make_cgi_environment(const Exchange& exchange, const CgiScript& script,
                                              std::optional<std::uint64_t> body_size);

}  // namespace procpool::http
