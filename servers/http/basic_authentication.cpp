#include "servers/http/basic_authentication.hpp"

#include <sys/stat.h>

#include <cstdint>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "servers/http/detail/grammar.hpp"
#include "servers/models/password.hpp"

namespace procpool::http {
namespace {

bool is_password_of(const Users& users, const BasicCredentials& credentials) {
  const auto user = users.find(credentials.name);
  return models::is_password(credentials.password, user == users.end()
                                                       ? std::nullopt
                                                       : std::optional<std::string>{user->second});
}

int base64_value(char c) noexcept {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (is_digit(c)) return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

// RFC 4648 §4, with padding or without.
std::optional<std::string> decode_base64(std::string_view text) {
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  if (padding > 0 && text.size() % 4 != 0) return std::nullopt;
  text.remove_suffix(padding);
  if (text.size() % 4 == 1) return std::nullopt;
  std::string bytes;
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const char c : text) {
    const int value = base64_value(c);
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes.push_back(static_cast<char>(bits >> count & 0xff));
    }
  }
  return bytes;
}

}  // namespace

Users parse_users(std::string_view text, const std::string& origin) {
  Users users;
  for (int number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    std::string_view line = trim(text.substr(0, end));
    if (line.ends_with('\r')) line.remove_suffix(1);
    text = end == text.npos ? std::string_view{} : text.substr(end + 1);
    if (line.empty() || line.front() == '#') continue;
    const std::string where = origin + ":" + std::to_string(number);
    const auto colon = line.find(':');
    if (colon == line.npos || colon == 0) throw Error{where, "", "must be name:hash"};
    const std::string name{line.substr(0, colon)};
    const std::string hash{line.substr(colon + 1)};
    if (!models::is_password_hash(hash)) throw Error{where, name, "has a hash of no known method"};
    if (!users.emplace(name, hash).second) throw Error{where, name, "is there twice"};
  }
  return users;
}

Users read_users(const std::string& path) {
  struct stat facts{};
  if (::stat(path.c_str(), &facts) < 0) throw_errno("open", path);
  if (!S_ISREG(facts.st_mode)) throw Error{"open", path, "is no regular file"};
  return parse_users(read_file(path), path);
}

std::optional<BasicCredentials> parse_basic_credentials(std::string_view value) {
  constexpr std::string_view kScheme = "basic";
  if (value.size() <= kScheme.size() || value[kScheme.size()] != ' ' ||
      !equals_ignoring_case(value.substr(0, kScheme.size()), kScheme)) {
    return std::nullopt;
  }
  const auto pair = decode_base64(trim(value.substr(kScheme.size())));
  if (!pair || pair->find('\0') != pair->npos) return std::nullopt;
  const auto colon = pair->find(':');
  if (colon == pair->npos) return std::nullopt;
  return BasicCredentials{.name = pair->substr(0, colon), .password = pair->substr(colon + 1)};
}

Guard::Guard(Users users, std::string_view realm) : users_{std::move(users)} {
  challenge_.append("WWW-Authenticate: Basic realm=\"")
      .append(realm)
      .append("\", charset=\"UTF-8\"\r\n");
}

bool Guard::admits(const Request& request) {
  const auto value = request.fields.find_only("authorization");
  if (!value) return false;
  const std::string text{*value};
  if (good_.contains(text)) return true;
  const auto credentials = parse_basic_credentials(text);
  if (!credentials || !is_password_of(users_, *credentials)) return false;
  if (good_.size() == kMostRemembered) good_.clear();
  good_.insert(text);
  return true;
}

}  // namespace procpool::http
