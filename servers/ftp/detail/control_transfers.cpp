// Transfers: how they are agreed upon, begin, and end.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ipc/base/error.hpp"
#include "servers/ftp/detail/arguments.hpp"
#include "servers/ftp/detail/control.hpp"
#include "servers/ftp/detail/random_number.hpp"
#include "servers/ftp/reply.hpp"
#include "servers/ftp/upload.hpp"

namespace procpool::ftp::detail {
namespace {

constexpr std::size_t kListingPiece = std::size_t{32} << 10;  // bytes, at least, of one write
constexpr std::size_t kMostMatches = 100'000;                 // names that a pattern finds
constexpr std::uint16_t kFirstUnprivilegedPort = 1024;

// Clients ask as they would ask ls(1): "-la name".
std::string without_options(std::string_view argument) {
  while (argument.starts_with('-')) {
    const auto space = argument.find(' ');
    argument = space == argument.npos ? std::string_view{} : argument.substr(space + 1);
  }
  return std::string{argument};
}

}  // namespace

void Control::type(const std::string& argument) {
  const std::string wanted = [&] {
    const std::string text = upper(argument);
    const std::string rest = split(argument).second;
    return rest.empty() ? text : text + " " + upper(rest);
  }();
  if (wanted == "A" || wanted == "A N") {
    as_text_ = true;
    return say(reply(200, "Text: lines end with CR LF."));
  }
  if (wanted == "I" || wanted == "L 8") {
    as_text_ = false;
    return say(reply(200, "Binary."));
  }
  say(reply(504, "TYPE is A, I or L 8."));
}

void Control::stru(const std::string& argument) {
  upper(argument) == "F" ? say(reply(200, "Files.")) : say(reply(504, "STRU is F."));
}

void Control::mode(const std::string& argument) {
  upper(argument) == "S" ? say(reply(200, "A stream.")) : say(reply(504, "MODE is S."));
}

void Control::allo(const std::string& argument) {
  const auto wanted = number(split(argument).first);
  if (!wanted) return say(reply(501, "It is a number of bytes."));
  if (quota_.is_limited() && *wanted > quota_.look().free)
    return say(reply(552, "Your quota has not so much room."));
  const UniqueFd here = tree_->open(directory_, O_RDONLY | O_DIRECTORY);
  struct statvfs facts{};
  if (here.valid() && ::fstatvfs(here.fd(), &facts) == 0 &&
      *wanted / facts.f_frsize >= facts.f_bavail)
    return say(reply(552, "There is not so much room."));
  say(reply(200, "There is room."));
}

void Control::rest(const std::string& argument) {
  const auto offset = number(argument);
  if (!offset || *offset > kNoLimit) return say(reply(501, "It is a number of bytes."));
  if (as_text_ && *offset != 0) return say(reply(504, "Not in TYPE A."));
  restart_ = *offset;
  say(reply(350, "The next transfer begins at " + argument + "."));
}

void Control::pasv(const std::string&) {
  if (epsv_only_) return say(reply(522, "EPSV ALL was said."));
  link_.reset();  // its port may be the only one that is free
  std::string host = settings_->passive_host.empty() ? local_.host() : settings_->passive_host;
  if (host.find(':') != host.npos) return say(reply(522, "Use EPSV for IPv6."));
  link_ = DataLink::passive(local_, settings_->passive_ports);
  std::ranges::replace(host, '.', ',');
  const unsigned port = link_->port();
  say(reply(227, "Entering Passive Mode (" + host + "," + std::to_string(port / 256) + "," +
                     std::to_string(port % 256) + ")."));
}

void Control::epsv(const std::string& argument) {
  const std::string wanted = upper(argument);
  if (wanted == "ALL") {
    epsv_only_ = true;
    return say(reply(200, "EPSV it is."));
  }
  const std::string own = local_.host().find(':') == std::string::npos ? "1" : "2";
  if (!wanted.empty() && wanted != own)
    return say(reply(522, "Another protocol: use (" + own + ")."));
  link_.reset();
  link_ = DataLink::passive(local_, settings_->passive_ports);
  say(reply(229, "Entering Extended Passive Mode (|||" + std::to_string(link_->port()) + "|)."));
}

void Control::port(const std::string& argument) {
  const auto target = parse_port(argument);
  if (!target) return say(reply(501, "It is h1,h2,h3,h4,p1,p2."));
  go_active(target);
}

void Control::eprt(const std::string& argument) {
  const auto target = parse_extended_port(argument);
  if (!target) return say(reply(501, "It is |protocol|address|port|."));
  if (!target->address) return say(reply(522, "Another protocol: use (1,2)."));
  go_active(target->address);
}

// Never to somebody else: that is what a bounce attack wants, RFC 2577 §3.
void Control::go_active(const std::optional<net::Address>& target) {
  if (epsv_only_) return say(reply(522, "EPSV ALL was said."));
  if (target->host() != session_.client()) return say(reply(501, "This is not your address."));
  if (target->port() < kFirstUnprivilegedPort) return say(reply(504, "Not to a port below 1024."));
  link_ = DataLink::active(*target);
  say(reply(200, "So it will be."));
}

bool Control::may_transfer() {
  if (link_) return true;
  restart_ = 0;
  say(reply(425, "PASV, EPSV, PORT or EPRT comes first."));
  return false;
}

TransferRules Control::rules() const {
  return {.loop = session_.loop(),
          .patience = settings_->data_timeout,
          .rate = user_.rate,
          .done = session_.slot().done};
}

void Control::begin(std::string verb, std::string file, std::uint64_t size, std::string opening,
                    Body body) {
  session_.slot().begin_transfer(file, size);
  transfer_.emplace();
  transfer_->verb = std::move(verb);
  transfer_->file = std::move(file);
  in_command_ = true;
  transfer_->task.spawn(run_transfer(std::move(opening), std::move(body)));
  in_command_ = false;
}

// As long as the command is obeyed, what is said goes out before the next wait: of a transfer that
// needs none, together with its end.
void Control::say_opening(const std::string& opening) {
  in_command_ ? say(reply(150, opening)) : say_now(reply(150, opening));
}

// Beside the conversation, which it wakes at its end and does not touch before: it may be destroyed
// wherever it waits.
net::Task<> Control::run_transfer(std::string opening, Body body) {
  transfer_->link = std::exchange(link_, std::nullopt);
  std::string end = reply(425, "There is no data connection.");
  try {
    UniqueFd socket = co_await transfer_->link->connect(session_.loop(), session_.client(),
                                                        Deadline::in(settings_->accept_timeout));
    if (socket.valid()) {
      say_opening(opening);
      net::Stream data{session_.loop(), std::move(socket)};
      end = co_await body(data);
    }
  } catch (const Error& error) {
    session_.log().error("{}: {}", session_.client(), error.what());
    end = reply(code_of_errno(error.code().value()), error.code().message() + ".");
  }
  transfer_->end = std::move(end);
  wake_timer_.set(Deadline::now());
}

// The client need not wait until a socket that listened is closed, which takes the kernel longest.
void Control::finish_transfer() {
  const bool complete = transfer_->end.starts_with("226");
  log_transfer(*transfer_, complete);
  say_now(transfer_->end);
  transfer_.reset();
  session_.slot().end_transfer();
  restart_ = 0;
}

// gcc 12 runs both sides of `? co_await : co_await`.
net::Task<TransferResult> Control::receive(net::Stream& data, int file, const Room& room) const {
  if (as_text_) co_return co_await receive_text_file(data, file, room, rules());
  co_return co_await receive_file(data, file, room, rules());
}

std::string Control::end_of(const TransferResult& result) const {
  switch (result.problem) {
    case Problem::none:
      return reply(226, "It is done.");
    case Problem::client:
      return reply(426, "The data connection: " + error_text(result.error) + ".");
    case Problem::file:
      return reply(code_of_errno(result.error), error_text(result.error) + ".");
  }
  return {};
}

void Control::log_transfer(const RunningTransfer& transfer, bool complete) {
  const bool incoming =
      transfer.verb == "STOR" || transfer.verb == "STOU" || transfer.verb == "APPE";
  if (!incoming && transfer.verb != "RETR") return;
  log_->add({.ended = std::time(nullptr),
             .took = std::chrono::duration_cast<std::chrono::milliseconds>(Deadline::Clock::now() -
                                                                           transfer.began),
             .client = session_.client(),
             .user = session_.slot().user.get(),
             .file = transfer.file,
             .bytes = session_.slot().done,
             .as_text = as_text_,
             .incoming = incoming,
             .anonymous = anonymous_,
             .complete = complete});
}

void Control::retr(const std::string& argument) {
  const std::string wanted = path(argument);
  UniqueFd file = tree_->open(wanted, O_RDONLY);
  struct stat facts{};
  if (!file.valid() || ::fstat(file.fd(), &facts) != 0) return tell_of_file(errno, argument);
  if (!S_ISREG(facts.st_mode)) return say(reply(550, argument + ": it is no regular file."));
  const auto offset = static_cast<off_t>(std::exchange(restart_, 0));
  if (offset > facts.st_size) return say(reply(554, "The file is shorter than that."));
  if (!may_transfer()) return;
  const auto size = static_cast<std::uint64_t>(facts.st_size - offset);
  begin("RETR", wanted, size, "Here it comes: " + std::to_string(size) + " bytes.",
        [this, offset, shared = std::make_shared<UniqueFd>(std::move(file))](
            net::Stream& data) -> net::Task<std::string> {
          if (as_text_) co_return end_of(co_await send_text_file(data, shared->fd(), rules()));
          co_return end_of(co_await send_file(data, shared->fd(), offset, rules()));
        });
}

// What sessions that were killed have left there.
void Control::sweep(const std::string& directory) {
  if (directory == swept_) return;
  swept_ = directory;
  for (const std::string& name : abandoned_uploads(*tree_, directory)) {
    const std::string file = resolve(directory, name);
    quota_.change({file}, [&] { return tree_->remove_file(file); });
  }
}

void Control::store(const std::string& name, bool as_new) {
  sweep(parent_of(name));
  if (!may_keep_more(name, 0)) return;
  auto upload = std::make_shared<Upload>(*tree_, name, 0666U & ~umask_);
  if (!may_transfer()) return;
  auto claim =
      std::make_shared<QuotaClaim>(QuotaClaim::replacing(quota_, name, upload->has_name()));
  const auto durable = settings_->durable ? Upload::Durable::yes : Upload::Durable::no;
  begin(as_new ? "STOU" : "STOR", name, 0,
        as_new ? "FILE: " + std::string{name_of(name)} : "Send it.",
        [this, name, upload, claim, durable, as_new](net::Stream& data) -> net::Task<std::string> {
          // gcc 12 destroys a temporary of a co_await twice.
          const Room room = [claim](std::uint64_t wanted) { return claim->grow_to(wanted); };
          const TransferResult result = co_await receive(data, upload->fd(), room);
          if (result.problem != Problem::none) co_return end_of(result);
          const int error = claim->settle(name, upload->size(), [&] {
            if (as_new) return upload->commit_as_new(durable) ? 0 : EEXIST;
            upload->commit(durable);
            return 0;
          });
          if (error == EEXIST) co_return reply(553, "Somebody took the name.");
          if (error != 0) co_return end_of({.problem = Problem::file, .error = error});
          co_return end_of(result);
        });
}

// Said before the transfer, RFC 959 §4.2.2; what is rewritten takes no more room.
bool Control::may_keep_more(const std::string& file, std::uint64_t offset) {
  if (!quota_.is_limited()) return true;
  const auto there = tree_->look_at_link(file);
  if (there && offset < static_cast<std::uint64_t>(there->st_size)) return true;
  if (quota_.look().free > 0) return true;
  restart_ = 0;
  say(reply(552, "Your quota is used up."));
  return false;
}

// What is resumed or appended to is changed in place: if it is cut again, it can be resumed again.
// By one session at a time.
void Control::store_in_place(const std::string& file, off_t offset, std::string verb) {
  UniqueFd opened = tree_->open(file, O_WRONLY | O_CREAT, 0666U & ~umask_);
  struct stat facts{};
  if (!opened.valid() || ::fstat(opened.fd(), &facts) != 0)
    return tell_of_file(errno, std::string{name_of(file)});
  if (!S_ISREG(facts.st_mode)) return say(reply(550, "It is no regular file."));
  if (offset > facts.st_size) return say(reply(554, "The file is shorter than that."));
  if (!may_transfer()) return;
  if (::flock(opened.fd(), LOCK_EX | LOCK_NB) != 0)
    return say(reply(450, "Somebody else is writing to it."));
  if (verb == "APPE") offset = facts.st_size;
  if (::lseek(opened.fd(), offset, SEEK_SET) < 0) throw_errno("lseek", file);

  struct Target {
    UniqueFd file;
    QuotaClaim claim;  // ends before the file is closed
  };
  auto claim = QuotaClaim::of_file(quota_, opened.fd());
  auto target = std::make_shared<Target>(Target{std::move(opened), std::move(claim)});
  begin(std::move(verb), file, 0, "Send the rest.",
        [this, target,
         start = static_cast<std::uint64_t>(offset)](net::Stream& data) -> net::Task<std::string> {
          const Room room = [target, start](std::uint64_t wanted) {
            return target->claim.grow_to(start + wanted) - start;
          };
          const TransferResult result = co_await receive(data, target->file.fd(), room);
          if (settings_->durable && ::fsync(target->file.fd()) != 0) throw_errno("fsync");
          co_return end_of(result);
        });
}

void Control::stor(const std::string& argument) {
  const std::string wanted = path(argument);
  const auto offset = static_cast<off_t>(std::exchange(restart_, 0));
  if (offset == 0) {
    const auto there = tree_->look(wanted);
    if (there && !S_ISREG(there->st_mode))
      return say(reply(550, argument + ": it is no regular file."));
    return store(wanted, false);
  }
  if (may_keep_more(wanted, static_cast<std::uint64_t>(offset)))
    store_in_place(wanted, offset, "STOR");
}

void Control::appe(const std::string& argument) {
  const std::string wanted = path(argument);
  restart_ = 0;
  if (may_keep_more(wanted, kNoLimit)) store_in_place(wanted, 0, "APPE");
}

// RFC 1123 §4.1.2.9. Random from the start: what another session is about to make is not seen yet.
void Control::stou(const std::string& argument) {
  const std::string name =
      (argument.empty() ? "file" : argument) + "." + std::to_string(random_number());
  restart_ = 0;
  store(path(name), true);
}

DirectoryReader Control::open_directory(const std::string& file) const {
  UniqueFd directory = tree_->open(file, O_RDONLY | O_DIRECTORY);
  if (!directory.valid()) throw_errno("open", file);
  return DirectoryReader{std::move(directory)};
}

// Of a directory, a file, or the names in a directory that match a pattern.
void Control::list(const std::string& argument, bool names_only) {
  const std::string name = without_options(argument);
  std::string wanted = path(name);
  std::string pattern;
  auto facts = tree_->look(wanted);
  if (!facts && is_pattern(name_of(wanted))) {
    pattern = name_of(wanted);
    wanted = parent_of(wanted);
    facts = tree_->look(wanted);
  }
  if (!facts) {
    restart_ = 0;
    return say(reply(450, name + ": " + error_text(errno) + "."));
  }
  const std::time_t now = std::time(nullptr);
  NextPiece next;
  if (!S_ISDIR(facts->st_mode)) {
    const std::string line = names_only ? name_line(name) : list_line(name, *facts, now);
    next = [line, told = false]() mutable -> std::optional<std::string> {
      if (std::exchange(told, true)) return std::nullopt;
      return line;
    };
  } else {
    const auto slash = name.rfind('/');
    const std::string before =
        names_only && !pattern.empty() && slash != name.npos ? name.substr(0, slash + 1) : "";
    next = [reader = std::make_shared<DirectoryReader>(open_directory(wanted)), pattern, before,
            names_only, now, matched = std::size_t{0}]() mutable -> std::optional<std::string> {
      std::string piece;
      while (piece.size() < kListingPiece && matched < kMostMatches * 100) {
        std::string line;
        std::string entry_name;
        if (names_only) {
          auto entry = reader->next_name();
          if (!entry) break;
          entry_name = *std::move(entry);
          line = name_line(before + entry_name);
        } else {
          const auto entry = reader->next();
          if (!entry) break;
          entry_name = entry->name;
          line = list_line(entry->name, entry->facts, now, entry->link);
        }
        if (!pattern.empty() && (!matches(pattern, entry_name) || ++matched > kMostMatches))
          continue;
        piece += line;
      }
      if (piece.empty()) return std::nullopt;
      return piece;
    };
  }
  if (!may_transfer()) return;
  begin(names_only ? "NLST" : "LIST", wanted, 0, "Here is the list.",
        [this, next](net::Stream& data) -> net::Task<std::string> {
          co_return end_of(co_await send_pieces(data, next, rules()));
        });
}

void Control::mlsd(const std::string& argument) {
  const std::string wanted = path(argument);
  const auto facts = tree_->look(wanted);
  if (!facts) return tell_of_file(errno, argument);
  if (!S_ISDIR(facts->st_mode)) return say(reply(501, argument + ": it is no directory."));
  const bool may_write = user_.may_write;
  std::string first = mlst_line(".", *facts, may_write, facts_, "cdir") + "\r\n";
  if (const auto above = tree_->look(parent_of(wanted)))
    first += mlst_line("..", *above, may_write, facts_, "pdir") + "\r\n";
  const NextPiece next = [reader = std::make_shared<DirectoryReader>(open_directory(wanted)),
                          first = std::move(first), may_write,
                          set = facts_]() mutable -> std::optional<std::string> {
    std::string piece = std::exchange(first, {});
    while (piece.size() < kListingPiece) {
      const auto entry = reader->next();
      if (!entry) break;
      piece += mlst_line(entry->name, entry->facts, may_write, set) + "\r\n";
    }
    if (piece.empty()) return std::nullopt;
    return piece;
  };
  if (!may_transfer()) return;
  begin("MLSD", wanted, 0, "Here is the list.",
        [this, next](net::Stream& data) -> net::Task<std::string> {
          co_return end_of(co_await send_pieces(data, next, rules()));
        });
}

void Control::stat(const std::string& argument) {
  if (transfer_) {
    return say(reply(211, transfer_->verb + " " + transfer_->file + ": " +
                              std::to_string(session_.slot().done.load()) + " bytes so far."));
  }
  if (argument.empty()) {
    return say(reply(211, "procpool-ftpd",
                     {" You come from " + session_.client(),
                      " You are logged in as " + session_.slot().user.get(),
                      as_text_ ? " TYPE: A" : " TYPE: I", " STRU: F; MODE: S", " " + shown_quota()},
                     "End."));
  }
  const std::string wanted = path(without_options(argument));
  const auto facts = tree_->look(wanted);
  if (!facts) return say(reply(450, argument + ": " + error_text(errno) + "."));
  const std::time_t now = std::time(nullptr);
  std::vector<std::string> lines;
  const auto add = [&](std::string line) {
    line.resize(line.size() - 2);  // its CR LF
    lines.push_back(" " + line);
  };
  if (!S_ISDIR(facts->st_mode)) {
    add(list_line(name_of(wanted), *facts, now));
    return say(reply(213, "Status:", lines, "End."));
  }
  DirectoryReader reader = open_directory(wanted);
  std::size_t bytes = 0;
  while (const auto entry = reader.next()) {
    add(list_line(entry->name, entry->facts, now, entry->link));
    bytes += lines.back().size();
    if (bytes > kMostUnsent / 2) return say(reply(450, "Too many files: LIST tells of them."));
  }
  say(reply(212, "Status:", lines, "End."));
}

// RFC 959 §4.1.3: the data connection is closed in any case.
void Control::abor(const std::string&) {
  link_.reset();
  if (!transfer_) return say(reply(226, "Nothing is under way."));
  if (transfer_->end.empty()) transfer_->end = reply(426, "It is given up.");
  finish_transfer();
  say(reply(226, "So it is."));
}

}  // namespace procpool::ftp::detail
