#include "servers/ftp/detail/login_line.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <type_traits>

#include "ipc/base/deadline.hpp"
#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"

namespace procpool::ftp::detail {
namespace {

// Each text ends with a zero byte, which no line of a client's may contain.
struct Question {
  FactSet facts;
  std::array<char, 256> name;
  std::array<char, 512> password;  // crypt(3) takes no longer one
};
static_assert(std::is_trivially_copyable_v<Question>);

template <std::size_t size>
bool fits(const std::string& text, const std::array<char, size>&) noexcept {
  return text.size() < size;
}

template <std::size_t size>
std::string text_in(const std::array<char, size>& field) {
  const auto end = std::ranges::find(field, '\0');
  if (end == field.end()) throw Error{"login", "question", "a text has no end"};
  return {field.begin(), end};
}

Question question_of(const Login& login) noexcept {
  Question question{.facts = login.facts, .name = {}, .password = {}};
  if (!fits(login.name, question.name) || !fits(login.password, question.password)) return question;
  std::ranges::copy(login.name, question.name.begin());
  std::ranges::copy(login.password, question.password.begin());
  return question;
}

}  // namespace

std::pair<UniqueFd, UniqueFd> make_login_line() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    throw_errno("socketpair", "login");
  return {UniqueFd{ends[0]}, UniqueFd{ends[1]}};
}

bool is_refused(int line, const Login& login) {
  const Question question = question_of(login);
  if (::send(line, &question, sizeof question, MSG_NOSIGNAL) < 0) return false;
  char answer = 0;
  return wait_ready(line, POLLIN, Deadline::in(kPatienceWithLogin)) != 0 &&
         ::recv(line, &answer, sizeof answer, 0) == 1;
}

// recv(2) lets no descriptor in: what was sent with the bytes is closed by the kernel.
std::optional<Login> take_login(int line) {
  Question question;
  const ssize_t size = ::recv(line, &question, sizeof question, MSG_DONTWAIT | MSG_TRUNC);
  if (size == 0) return std::nullopt;
  if (size < 0) throw_errno("recv", "login");
  if (size != sizeof question) throw Error{"login", "question", "is of another size"};
  return Login{.name = text_in(question.name),
               .password = text_in(question.password),
               .facts = question.facts & kAllFacts};
}

void refuse(int line) noexcept {
  constexpr char kNo = 'n';
  ::send(line, &kNo, sizeof kNo, MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace procpool::ftp::detail
