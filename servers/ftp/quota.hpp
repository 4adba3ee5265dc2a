// How much a user may keep in his home: counted for all sessions at once, in shared memory.
//
//   settings.quotas = take_quotas(inheritance);             // the master, once: sessions inherit
//   it Quota quota{settings.quotas, tree, user.quota};         // a session, of who has logged in
//   quota.change({"/a"}, [&] { return tree.remove_file("/a"); });
//   QuotaClaim claim = QuotaClaim::replacing(quota, "/b");  // an upload
//   if (claim.grow_to(bytes) < bytes) tell(EDQUOT);
//   claim.settle("/b", [&] { return rename_it_to("/b"); });
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <string>

#include "ipc/base/process_id.hpp"
#include "ipc/mutex.hpp"
#include "ipc/shared.hpp"
#include "servers/ftp/file_tree.hpp"
#include "servers/models/inheritance.hpp"
#include "servers/models/session_board.hpp"

namespace procpool::ftp {

// What all sessions know of the homes whose users have a quota. For ipc::Shared.
struct QuotaTable {
  static constexpr std::size_t kHomes = 4096;

  struct Home {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;  // 0: free; `mutex` of the table is for these two

    ipc::Mutex mutex;  // for what follows, and for changes of the files themselves
    bool counted = false;
    std::uint64_t used = 0;
    std::uint64_t claimed = 0;  // by uploads that run, beyond what is used
  };

  // What an upload has put by. Complete as soon as it has a pid.
  struct Claim {
    std::atomic<pid_t> pid{0};  // 0: free
    std::uint64_t start_time = 0;
    std::atomic<std::size_t> home{0};
    bool in_home = false;     // its bytes lie in the home already
    std::uint64_t bytes = 0;  // the home's mutex is for these

    ProcessId process() const noexcept { return {.pid = pid, .start_time = start_time}; }
  };

  ipc::Mutex mutex;
  std::array<Home, kHomes> homes;
  std::array<Claim, models::SessionBoard::kSlots> claims;
};
using QuotaMemory = std::shared_ptr<ipc::Shared<QuotaTable>>;

// For the master, once, before it has sessions: the memory of the master before, whose sessions go
// on counting there, or new one, if there was none or that of another version: what sessions of
// that one still write is not seen. A reload keeps it; an upgrade hands it on, as
// NextProgram::memory:
// {{kQuotaMemory, settings.quotas->fd()}}.
inline constexpr auto kQuotaMemory = "quotas";
QuotaMemory take_quotas(models::Inheritance& inheritance);

// The quota of the home beneath a tree, as one session deals with it. Homes are known by their
// inode: users with one home share its count, each has his own limit. The files are counted once,
// by a walk, when the first change is to be made; from then on the count is kept, by what goes
// through here: who changes files past the server, or without a quota, is not seen until the server
// starts anew. Bytes are the sizes of regular files, by each of their names.
//
// Each change is made under a lock of its home. When a session is killed, its claims are given back
// at the next need, and where it may have died in the middle of a change the files are counted
// again. For one thread.
class Quota {
 public:
  Quota() = default;  // no limit, nothing is counted

  // Lives no longer than the tree. Throws Error: `bytes` is not 0 and there is no memory, or no
  // place in it.
  Quota(QuotaMemory memory, const FileTree& tree, std::uint64_t bytes);

  bool is_limited() const noexcept { return home_ != nullptr; }
  std::uint64_t limit() const noexcept { return limit_; }

  // What is used, and what nobody uses or has claimed.
  struct Room {
    std::uint64_t used = 0;
    std::uint64_t free = 0;
  };
  Room look() const;

  // Runs `change`, which returns 0 or an errno, and counts what it does to the files of these
  // names.
  int change(std::initializer_list<std::string> names, const std::function<int()>& change) const;

 private:
  friend class QuotaClaim;
  using Lock = std::unique_lock<ipc::Mutex>;

  Lock lock() const;
  void bury_the_dead() const;
  std::uint64_t size_of(std::initializer_list<std::string> names) const;
  std::uint64_t free_beside(std::uint64_t used, std::uint64_t claimed) const noexcept;
  std::size_t number() const noexcept;

  QuotaMemory memory_;
  const FileTree* tree_ = nullptr;
  std::uint64_t limit_ = 0;
  QuotaTable::Home* home_ = nullptr;
};

// The room that one upload has put by: given back at its end, also when its process is killed.
// Lives no longer than the quota and the file. For one thread.
class QuotaClaim {
 public:
  // For a file that will replace what is at `path`, whose room it may have, too. `in_home`: it has
  // a name there already.
  static QuotaClaim replacing(const Quota& quota, const std::string& path, bool in_home = false);

  // For an open file that grows in place.
  static QuotaClaim of_file(const Quota& quota, int file);

  QuotaClaim(QuotaClaim&& other) noexcept;
  QuotaClaim& operator=(QuotaClaim&&) = delete;
  ~QuotaClaim();

  // How large the file may be, when it is to have so many bytes: less is all that there is room
  // for.
  std::uint64_t grow_to(std::uint64_t bytes);

  // Runs `change`, which gives the file its name, and counts it instead of claiming it. Returns
  // what that does, or EDQUOT: what was to be replaced is gone, or smaller, and the room with it.
  int settle(const std::string& path, std::uint64_t bytes, const std::function<int()>& change);

 private:
  QuotaClaim(const Quota& quota, bool in_home, std::uint64_t counted, int file);

  void set_claimed(std::uint64_t bytes) noexcept;

  const Quota* quota_;
  QuotaTable::Claim* claim_ = nullptr;  // null: no limit
  std::uint64_t counted_;               // bytes that are counted already
  int file_;                            // that grows in place; -1: none
};

}  // namespace procpool::ftp
