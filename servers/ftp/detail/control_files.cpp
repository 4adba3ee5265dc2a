// Directories and files: everything that needs no data connection.
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

#include "ipc/base/error.hpp"
#include "servers/ftp/detail/arguments.hpp"
#include "servers/ftp/detail/control.hpp"
#include "servers/ftp/reply.hpp"

namespace procpool::ftp::detail {

using namespace std::chrono_literals;

void Control::tell_of_file(int error, const std::string& argument) {
  say(reply(code_of_errno(error), argument + ": " + error_text(error) + "."));
}

void Control::simple(int error, const std::string& argument, int code, std::string_view done) {
  if (error != 0) return tell_of_file(error, argument);
  say(reply(code, done));
}

void Control::pwd(const std::string&) {
  say(reply(257, quoted_path(directory_) + " is the current directory."));
}

void Control::cwd(const std::string& argument) {
  const std::string wanted = path(argument);
  const UniqueFd there = tree_->open(wanted, O_RDONLY | O_DIRECTORY);
  if (!there.valid()) return tell_of_file(errno, argument);
  directory_ = wanted;
  say(reply(250, quoted_path(directory_) + " is the current directory."));
}

void Control::mkd(const std::string& argument) {
  const std::string wanted = path(argument);
  if (const int error = tree_->make_directory(wanted, 0777U & ~umask_))
    return tell_of_file(error, argument);
  say(reply(257, quoted_path(wanted) + " is made."));
}

void Control::rmd(const std::string& argument) {
  simple(tree_->remove_directory(path(argument)), argument, 250, "It is removed.");
}

void Control::dele(const std::string& argument) {
  const std::string wanted = path(argument);
  simple(quota_.change({wanted}, [&] { return tree_->remove_file(wanted); }), argument, 250,
         "It is deleted.");
}

void Control::rnfr(const std::string& argument) {
  const std::string from = path(argument);
  const UniqueFd parent = tree_->open_parent(from);
  struct stat facts{};
  if (!parent.valid() || from == "/" ||
      ::fstatat(parent.fd(), std::string{name_of(from)}.c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0)
    return tell_of_file(from == "/" ? EBUSY : errno, argument);
  rename_from_ = from;
  say(reply(350, "And RNTO?"));
}

void Control::rnto(const std::string& argument) {
  if (!rename_from_) return say(reply(503, "RNFR comes first."));
  const std::string from = *std::exchange(rename_from_, std::nullopt);
  const std::string to = path(argument);
  simple(quota_.change({from, to}, [&] { return tree_->rename(from, to); }), argument, 250,
         "It is renamed.");
}

void Control::size(const std::string& argument) {
  if (as_text_) return say(reply(550, "Its size is not known in TYPE A."));
  const auto facts = tree_->look(path(argument));
  if (!facts) return tell_of_file(errno, argument);
  if (!S_ISREG(facts->st_mode)) return say(reply(550, argument + ": it is no regular file."));
  say(reply(213, std::to_string(facts->st_size)));
}

void Control::mdtm(const std::string& argument) {
  const auto facts = tree_->look(path(argument));
  if (!facts) return tell_of_file(errno, argument);
  if (!S_ISREG(facts->st_mode)) return say(reply(550, argument + ": it is no regular file."));
  say(reply(213, time_text(facts->st_mtime)));
}

void Control::mfmt(const std::string& argument) {
  const auto space = argument.find(' ');
  const auto time = parse_time(std::string_view{argument}.substr(0, space));
  if (!time || space == argument.npos) return say(reply(501, "It is YYYYMMDDHHMMSS and a name."));
  const std::string name = argument.substr(space + 1);
  if (const int error = tree_->set_modified(path(name), *time)) return tell_of_file(error, name);
  say(reply(213, "Modify=" + time_text(*time) + "; " + name));
}

void Control::mlst(const std::string& argument) {
  const std::string wanted = path(argument);
  const auto facts = tree_->look(wanted);
  if (!facts) return tell_of_file(errno, argument);
  say(reply(250, "Facts:", {" " + mlst_line(wanted, *facts, user_.may_write, facts_)}, "End"));
}

std::string Control::shown_quota() const {
  if (!quota_.is_limited()) return "You have no quota.";
  const Quota::Room room = quota_.look();
  return std::to_string(room.used) + " of " + std::to_string(quota_.limit()) + " bytes are used; " +
         std::to_string(room.free) + " are free.";
}

void Control::site(const std::string& argument) {
  const auto [what, rest] = split(argument);
  if (what == "HELP")
    return say(reply(214, "SITE commands:", {" CHMOD HELP IDLE QUOTA UMASK"}, "End."));
  if (what == "IDLE") {
    if (rest.empty())
      return say(reply(200, std::to_string(idle_timeout_ / 1s) + " seconds between commands."));
    const auto seconds = number(rest);
    const auto most = static_cast<std::uint64_t>(settings_->idle_timeout / 1s);
    if (!seconds || *seconds == 0 || *seconds > most)
      return say(reply(501, "1 to " + std::to_string(most) + " seconds."));
    idle_timeout_ = std::chrono::seconds{*seconds};
    return say(reply(200, rest + " seconds between commands."));
  }
  if (what == "QUOTA") return say(reply(200, shown_quota()));
  if (what == "UMASK") {
    std::array<char, 8> text;
    if (rest.empty()) {
      std::snprintf(text.data(), text.size(), "%03o", umask_);
      return say(reply(200, "The umask is " + std::string{text.data()} + "."));
    }
    const auto mask = number<mode_t>(rest, 8);
    if (!mask || *mask > 0777) return say(reply(501, "It is an octal number up to 777."));
    umask_ = *mask;
    return say(reply(200, "The umask is " + rest + "."));
  }
  if (what == "CHMOD") {
    const auto space = rest.find(' ');
    const auto wanted = number<mode_t>(std::string_view{rest}.substr(0, space), 8);
    if (!wanted || *wanted > 0777 || space == rest.npos)
      return say(reply(501, "It is an octal number and a name."));
    if (!user_.may_write) return say(reply(550, "You may read only."));
    const std::string name = rest.substr(space + 1);
    return simple(tree_->change_mode(path(name), *wanted), name, 200, "Its mode is changed.");
  }
  say(reply(504, "SITE HELP tells what there is."));
}

}  // namespace procpool::ftp::detail
