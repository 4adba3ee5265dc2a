#include "servers/http/cgi_environment.hpp"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <map>
#include <string_view>

#include "servers/http/detail/grammar.hpp"
#include "servers/net/address.hpp"

namespace procpool::http {
namespace {

constexpr std::string_view kKept[] = {
    "authorization", "connection", "content-length",      "content-type", "keep-alive",
    "proxy",         "te",         "proxy-authorization", "trailer",      "transfer-encoding",
    "upgrade"};

constexpr std::string_view kDefaultPath = "/usr/local/bin:/usr/bin:/bin";

bool is_told(std::string_view name) noexcept {
  const auto is_plain = [](char c) { return is_letter(c) || is_digit(c) || c == '-'; };
  return std::all_of(name.begin(), name.end(), is_plain) &&
         std::none_of(std::begin(kKept), std::end(kKept),
                      [&](std::string_view kept) { return equals_ignoring_case(name, kept); });
}

std::string variable_of(std::string_view field) {
  std::string name{"HTTP_"};
  for (const char c : field)
    name.push_back(c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
  return name;
}

std::string_view without_port(std::string_view host) noexcept {
  const auto colon = host.rfind(':');
  return colon == host.npos || host.find(']', colon) != host.npos ? host : host.substr(0, colon);
}

// As a URI has it.
std::string host_of(const net::Address& address) {
  const std::string host = address.host();
  return host.find(':') == host.npos ? host : "[" + host + "]";
}

}  // namespace

std::vector<std::string> make_cgi_environment(const Exchange& exchange, const CgiScript& script,
                                              std::optional<std::uint64_t> body_size) {
  constexpr std::uint16_t kHttpPort = 80;  // of a Unix socket there is none
  const Request& request = exchange.request;
  const net::Address local = net::Address::local_of(exchange.socket);
  const net::Address peer = net::Address::peer_of(exchange.socket);
  const char* const path = std::getenv("PATH");

  std::map<std::string, std::string> variables{
      {"DOCUMENT_ROOT", script.root},
      {"GATEWAY_INTERFACE", "CGI/1.1"},
      {"PATH", path != nullptr ? path : std::string{kDefaultPath}},
      {"PATH_INFO", script.path_info},
      {"QUERY_STRING", std::string{request.query}},
      {"REDIRECT_STATUS", "200"},
      {"REMOTE_ADDR", std::string{exchange.client}},
      {"REMOTE_HOST", std::string{exchange.client}},
      {"REMOTE_PORT", std::to_string(peer.port())},
      {"REQUEST_METHOD", std::string{request.method_name}},
      {"REQUEST_URI", std::string{request.target}},
      {"SCRIPT_FILENAME", script.file},
      {"SCRIPT_NAME", script.name},
      {"SERVER_ADDR", local.host()},
      {"SERVER_NAME",
       request.host.empty() ? host_of(local) : std::string{without_port(request.host)}},
      {"SERVER_PORT", std::to_string(local.is_unix() ? kHttpPort : local.port())},
      {"SERVER_PROTOCOL", request.minor_version == 0 ? "HTTP/1.0" : "HTTP/1.1"},
      {"SERVER_SOFTWARE", "procpool"},
  };
  if (!script.path_info.empty() && !script.root.empty())
    variables["PATH_TRANSLATED"] = script.root + script.path_info;
  if (script.user) {
    variables["AUTH_TYPE"] = "Basic";
    variables["REMOTE_USER"] = *script.user;
  }
  if (body_size) {
    variables["CONTENT_LENGTH"] = std::to_string(*body_size);
    if (const auto type = request.field("content-type")) variables["CONTENT_TYPE"] = *type;
  }
  for (const Field& field : request.fields) {
    if (!is_told(field.name)) continue;
    const auto [place, is_first] = variables.emplace(variable_of(field.name), field.value);
    const bool is_cookie = equals_ignoring_case(field.name, "cookie");  // RFC 6265 §5.4
    if (!is_first) place->second.append(is_cookie ? "; " : ", ").append(field.value);
  }

  std::vector<std::string> environment;
  for (const auto& [name, value] : variables) environment.push_back(name + "=" + value);
  return environment;
}

}  // namespace procpool::http
