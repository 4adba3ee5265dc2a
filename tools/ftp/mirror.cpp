#include "tools/ftp/mirror.hpp"

#include <algorithm>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "servers/ftp/listing.hpp"
#include "servers/ftp/path.hpp"
#include "tools/ftp/failure.hpp"
#include "tools/ftp/names.hpp"

namespace procpool::ftp_client {
namespace {

using Kind = Entry::Kind;

struct Place {
  std::string remote;
  std::string local;  // "" is the root
  std::size_t depth;
};

bool is_part(std::string_view name) {
  return name.ends_with(PartFile::kSuffix);
}

// The plan of either direction: places that are still to be visited, in order.
class Walk {
 public:
  Walk(Session& session, const LocalFolder& folder, const std::string& remote)
      : session_{session}, folder_{folder} {
    places_.push_back({.remote = session.absolute(remote), .local = {}, .depth = 0});
  }

 protected:
  template <typename Visit>
  Plan run(const Visit& visit) {
    while (!places_.empty()) {
      const Place place = std::move(places_.front());
      places_.pop_front();
      try {
        visit(place);
      } catch (const Failure& failure) {
        if (place.depth == 0 || failure.exit_code() != ExitCode::refused) throw;
        plan_.problems.emplace_back(failure.what());
      }
    }
    return std::move(plan_);
  }

  static Place inside(const Place& place, const std::string& name) {
    return {.remote = joined(place.remote, name),
            .local = joined(place.local, name),
            .depth = place.depth + 1};
  }

  void problem(const Place& place, std::string_view what) {
    plan_.problems.push_back(printable(place.remote) + ": " + std::string{what});
  }
  void note(const Place& place, std::string_view what) {
    plan_.notes.push_back(printable(place.remote) + ": " + std::string{what});
  }

  void enter(Place place) {
    if (place.depth > kMostDepth) return problem(place, "it lies too deep");
    places_.push_back(std::move(place));
  }

  void count() {
    if (++entries_ > kMostEntries)
      throw Failure{ExitCode::failed, "mirror", printable(folder_.path()),
                    "there are more than a million files"};
  }

  Session& session_;
  const LocalFolder& folder_;
  Plan plan_;

 private:
  std::deque<Place> places_;
  std::size_t entries_ = 0;
};

class GetWalk : private Walk {
 public:
  using Walk::Walk;
  Plan plan() {
    return run([this](const Place& place) { visit(place); });
  }

 private:
  void visit(const Place& place) {
    for (const Entry& entry : session_.list(place.remote)) {
      count();
      const Place there = inside(place, entry.name);
      if (!is_safe_name(entry.name)) {
        problem(there, "no file may be called so here");
      } else if (is_part(entry.name)) {
        note(there, "it is left by an unfinished transfer");
      } else {
        take(there, entry);
      }
    }
  }

  void take(const Place& place, const Entry& entry) {
    switch (entry.kind) {
      case Kind::directory:
        return take_directory(place, entry);
      case Kind::file:
        return take_file(place, entry);
      case Kind::link:
        return take_link(place);
      case Kind::other:
        return note(place, "it is no regular file");
    }
  }

  void take_directory(const Place& place, const Entry& entry) {
    if (!entry.unique.empty() && !seen_.insert(entry.unique).second)
      return note(place, "the same directory was entered before");
    try {
      if (place.depth <= kMostDepth) folder_.make(place.local);
    } catch (const Error& error) {
      return plan_.problems.emplace_back(error.what()), void();
    }
    enter(place);
  }

  void take_file(const Place& place, const Entry& entry) {
    if (is_needed(place, entry)) {
      plan_.jobs.push_back({.remote = place.remote,
                            .local = place.local,
                            .size = entry.size,
                            .modified = entry.modified});
    } else {
      ++plan_.unchanged;
    }
  }

  void take_link(const Place& place) {
    const auto size = session_.size(place.remote);
    if (!size) return note(place, "it is a link to no file");
    Entry target{.name = {}, .size = size};
    target.modified = session_.modified(place.remote);
    take_file(place, target);
  }

  bool is_needed(const Place& place, const Entry& entry) const {
    const auto here = folder_.look(place.local);
    if (!here || !S_ISREG(here->st_mode) || !entry.size) return true;
    if (static_cast<std::uint64_t>(here->st_size) != *entry.size) return true;
    return entry.modified && *entry.modified > here->st_mtime;
  }

  std::set<std::string> seen_;  // directories, by what the server says is unique
};

class PutWalk : private Walk {
 public:
  using Walk::Walk;
  Plan plan() {
    return run([this](const Place& place) { visit(place); });
  }

 private:
  using There = std::map<std::string, Entry>;

  void visit(const Place& place) {
    const There there = list_or_make(place);
    std::vector<std::filesystem::directory_entry> here;
    for (const auto& entry :
         std::filesystem::directory_iterator{joined(folder_.path(), place.local)})
      here.push_back(entry);
    std::ranges::sort(here);
    for (const auto& entry : here) {
      count();
      take(inside(place, entry.path().filename().string()), entry, there);
    }
  }

  There list_or_make(const Place& place) {
    There there;
    try {
      for (Entry& entry : session_.list(place.remote)) {
        std::string name = entry.name;
        there.emplace(std::move(name), std::move(entry));
      }
    } catch (const Refused&) {
      make_with_parents(place.remote);
    }
    return there;
  }

  void make_with_parents(const std::string& path) {
    try {
      session_.make_directory(path);
    } catch (const Refused&) {
      const std::string parent = ftp::parent_of(path);
      if (parent == path || parent == "/") throw;
      make_with_parents(parent);
      session_.make_directory(path);
    }
  }

  void take(Place place, const std::filesystem::directory_entry& entry, const There& there) {
    const std::string name = entry.path().filename().string();
    if (!fits_a_line(name)) return problem(place, "FTP cannot say this name");
    if (is_part(name)) return note(place, "it is left by an unfinished transfer");
    if (entry.is_symlink()) return note(place, "it is a link");
    if (entry.is_directory()) return enter(std::move(place));
    if (!entry.is_regular_file()) return note(place, "it is no regular file");
    const auto found = there.find(name);
    take_file(place, found == there.end() ? nullptr : &found->second);
  }

  void take_file(const Place& place, const Entry* there) {
    const auto here = folder_.look(place.local);
    if (here && there != nullptr && !is_needed(*here, *there)) {
      ++plan_.unchanged;
      return;
    }
    Job job{.remote = place.remote, .local = place.local};
    // What is not there is 0 bytes long: nobody has to be asked.
    job.size = there != nullptr ? there->size : 0;
    if (there != nullptr && there->modified) job.modified = *there->modified + there->precision - 1;
    plan_.jobs.push_back(std::move(job));
  }

  static bool is_needed(const struct stat& here, const Entry& there) {
    if (!there.size || *there.size != static_cast<std::uint64_t>(here.st_size)) return true;
    return there.modified && here.st_mtime > *there.modified + there.precision - 1;
  }
};

}  // namespace

Plan plan_get(Session& session, const std::string& remote, const LocalFolder& folder) {
  return GetWalk{session, folder, remote}.plan();
}

Plan plan_put(Session& session, const LocalFolder& folder, const std::string& remote) {
  return PutWalk{session, folder, remote}.plan();
}

}  // namespace procpool::ftp_client
