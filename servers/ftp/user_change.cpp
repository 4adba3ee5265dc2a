#include "servers/ftp/user_change.hpp"

#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <iostream>
#include <mutex>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/file_lock.hpp"
#include "servers/ftp/users.hpp"
#include "servers/models/password.hpp"
#include "servers/program/setting.hpp"

namespace procpool::ftp {
namespace {

using program::OptionsError;

// What is typed is not shown meanwhile.
class SilentTerminal {
 public:
  SilentTerminal() {
    if (::tcgetattr(STDIN_FILENO, &before_) < 0) throw_errno("tcgetattr", "standard input");
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    if (::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) < 0)
      throw_errno("tcsetattr", "standard input");
  }
  SilentTerminal(const SilentTerminal&) = delete;
  SilentTerminal& operator=(const SilentTerminal&) = delete;
  ~SilentTerminal() { ::tcsetattr(STDIN_FILENO, TCSANOW, &before_); }

 private:
  termios before_{};
};

std::string read_line() {
  std::string line;
  if (!std::getline(std::cin, line) || line.empty())
    throw Error{"read", "standard input", "no password"};
  return line;
}

std::string ask(const char* question) {
  std::cerr << question << std::flush;
  std::string answer = read_line();
  std::cerr << std::endl;
  return answer;
}

std::string read_password() {
  if (::isatty(STDIN_FILENO) == 0) return read_line();
  const SilentTerminal silent;
  std::string password = ask("Password: ");
  if (ask("Once more: ") != password)
    throw Error{"read", "standard input", "the two passwords differ"};
  return password;
}

// Of the file that has this name, also when somebody replaces it meanwhile.
ipc::FileLock lock_file(const std::string& path) {
  for (;;) {
    ipc::FileLock lock{path};
    lock.lock();
    struct stat locked{};
    struct stat named{};
    if (::fstat(lock.fd(), &locked) < 0) throw_errno("fstat", path);
    if (::stat(path.c_str(), &named) == 0 && named.st_ino == locked.st_ino &&
        named.st_dev == locked.st_dev)
      return lock;
  }
}

std::string absolute_folder(const std::string& home) {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::canonical(home, error);
  if (error) throw OptionsError{"option", "--home", home + ": " + error.message()};
  if (!std::filesystem::is_directory(path))
    throw OptionsError{"option", "--home", home + ": " + error_text(ENOTDIR)};
  return path;
}

std::uint64_t size_of(const std::string& text, const char* option) {
  std::uint64_t size = 0;
  if (text.empty()) return size;
  const std::string reason = program::read_size(text, size);
  if (!reason.empty()) throw OptionsError{"option", option, reason};
  return size;
}

User& existing(Users& users, const UserChange& change) {
  const auto found = users.find(change.name);
  if (found == users.end())
    throw OptionsError{"user", change.name, "is not in \"" + change.file + "\""};
  return found->second;
}

void list(const Users& users) {
  for (const auto& [name, user] : users) {
    std::cout << name << '\t' << (user.may_write ? "rw" : "r") << '\t' << user.rate << '\t'
              << user.quota << '\t' << user.home << '\n';
  }
}

void add(Users& users, const UserChange& change) {
  if (users.contains(change.name))
    throw OptionsError{"user", change.name, "is in \"" + change.file + "\" already"};
  User user{.hash = {},
            .home = absolute_folder(change.home),
            .may_write = change.may_write,
            .rate = size_of(change.rate, "--rate"),
            .quota = size_of(change.quota, "--quota")};
  user.hash = models::hash_password(read_password());
  users.emplace(change.name, std::move(user));
}

}  // namespace

void change_users(const UserChange& change) {
  using Kind = UserChange::Kind;
  if (change.kind == Kind::list) return list(read_users(change.file));
  if (change.kind != Kind::add && !std::filesystem::exists(change.file))
    throw_errno("open", change.file, ENOENT);
  const ipc::FileLock lock = lock_file(change.file);
  Users users = read_users(change.file);
  switch (change.kind) {
    case Kind::add:
      add(users, change);
      break;
    case Kind::passwd:
      existing(users, change).hash = models::hash_password(read_password());
      break;
    case Kind::remove:
      existing(users, change);
      users.erase(change.name);
      break;
    case Kind::list:
      break;
  }
  write_users(change.file, users);
}

}  // namespace procpool::ftp
