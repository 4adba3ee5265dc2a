#include "tools/ftp/netrc.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include "ipc/base/io.hpp"
#include "ipc/base/unique_fd.hpp"
#include "tools/ftp/failure.hpp"

namespace procpool::ftp_client {
namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 20U;

class Words {
 public:
  explicit Words(std::string_view text) : text_{text} {}

  std::optional<std::string> next() {
    skip_spaces_and_comments();
    if (text_.empty()) return std::nullopt;
    const bool quoted = text_.front() == '"';
    if (quoted) take();
    std::string word;
    while (!text_.empty() && (quoted ? text_.front() != '"' : !is_space(text_.front()))) {
      if (text_.front() == '\\' && text_.size() > 1) take();
      word.push_back(take());
    }
    if (quoted && text_.empty()) refuse("a quote is missing");
    if (quoted) take();
    return word;
  }

  std::string after(std::string_view keyword) {
    auto word = next();
    if (!word) refuse("nothing follows " + std::string{keyword});
    return *std::move(word);
  }

  // A macro ends with an empty line.
  void skip_macro() {
    const auto end = text_.find("\n\n");
    while (!text_.empty() && end != text_.npos && text_.substr(0, 2) != "\n\n") take();
    if (end == text_.npos) text_ = {};
  }

  [[noreturn]] void refuse(std::string_view reason) const {
    throw Failure{ExitCode::usage, "read netrc", "line " + std::to_string(line_), reason};
  }

 private:
  static bool is_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
  char take() {
    const char c = text_.front();
    text_.remove_prefix(1);
    line_ += c == '\n' ? 1 : 0;
    return c;
  }
  void skip_spaces_and_comments() {
    while (!text_.empty() && (is_space(text_.front()) || text_.front() == '#')) {
      if (text_.front() == '#') {
        while (!text_.empty() && text_.front() != '\n') take();
      } else {
        take();
      }
    }
  }

  std::string_view text_;
  int line_ = 1;
};

bool fits(const NetrcLogin& entry, const std::optional<std::string>& user) {
  return !user || entry.user.empty() || entry.user == *user;
}

}  // namespace

std::optional<NetrcLogin> find_login(std::string_view netrc, std::string_view host,
                                     const std::optional<std::string>& user) {
  Words words{netrc};
  std::optional<NetrcLogin> entry;  // of this host
  while (const auto word = words.next()) {
    if (*word == "machine" || *word == "default") {
      if (entry && fits(*entry, user)) return entry;
      const bool here = *word == "default" || words.after(*word) == host;
      entry = here ? std::optional<NetrcLogin>{NetrcLogin{}} : std::nullopt;
    } else if (*word == "login" || *word == "password" || *word == "account") {
      std::string value = words.after(*word);
      if (!entry) continue;
      if (*word == "login") entry->user = std::move(value);
      if (*word == "password") entry->password = std::move(value);
      if (*word == "account") entry->account = std::move(value);
    } else if (*word == "macdef") {
      words.skip_macro();
    } else {
      words.refuse("it must be machine, default, login, password, account or macdef");
    }
  }
  if (entry && fits(*entry, user)) return entry;
  return std::nullopt;
}

std::optional<std::string> read_netrc(const std::string& path) {
  const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY)};
  if (!file.valid() && errno == ENOENT) return std::nullopt;
  struct stat facts{};
  if (!file.valid() || ::fstat(file.fd(), &facts) != 0) throw_errno("open", path);
  if ((facts.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    throw Failure{ExitCode::failed, "read netrc", path, "others may read it: chmod 600 ends that"};
  return read_to_end(file.fd(), path, kMostBytes);
}

}  // namespace procpool::ftp_client
