#include "servers/ftp/quota.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

#include "ipc/base/error.hpp"
#include "servers/ftp/listing.hpp"
#include "servers/ftp/transfer.hpp"

namespace procpool::ftp {
namespace {

// Of one walk: a tree that has more is counted so far.
constexpr std::size_t kMostEntries = 1'000'000;

// What a claim grows by at least: a lock for each piece of a transfer would be one too many.
constexpr std::uint64_t kStep = std::uint64_t{1} << 20;

// Directories are opened by their whole path, so that a deep tree needs no more descriptors than a
// flat one; what is too deep for a path cannot be reached by a client either.
std::uint64_t bytes_beneath(const FileTree& tree) {
  std::uint64_t bytes = 0;
  std::size_t entries = 0;
  std::vector<std::string> pending{"/"};
  while (!pending.empty()) {
    const std::string path = std::move(pending.back());
    pending.pop_back();
    UniqueFd directory = tree.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!directory.valid()) continue;
    DirectoryReader reader{std::move(directory)};
    while (const auto entry = reader.next()) {
      if (++entries > kMostEntries) return bytes;
      if (S_ISREG(entry->facts.st_mode)) bytes += static_cast<std::uint64_t>(entry->facts.st_size);
      if (S_ISDIR(entry->facts.st_mode))
        pending.push_back(path == "/" ? "/" + entry->name : path + "/" + entry->name);
    }
  }
  return bytes;
}

QuotaTable::Home& home_of(QuotaTable& table, const FileTree& tree) {
  const auto root = tree.look("/");
  if (!root) throw_errno("stat", "home");
  const std::scoped_lock lock{table.mutex};
  for (std::size_t tries = 0; tries < QuotaTable::kHomes; ++tries) {
    QuotaTable::Home& home = table.homes.at((root->st_ino + tries) % QuotaTable::kHomes);
    if (home.inode == 0) {
      home.device = root->st_dev;
      home.inode = root->st_ino;
    }
    if (home.inode == root->st_ino && home.device == root->st_dev) return home;
  }
  throw Error{"quota", "home", ENOSPC};
}

QuotaTable::Claim* free_claim(QuotaTable& table) {
  const auto found = std::ranges::find_if(
      table.claims, [](const QuotaTable::Claim& claim) { return claim.pid == 0; });
  return found == table.claims.end() ? nullptr : &*found;
}

// With the lock of the home: those who still live go on claiming.
bool bury(QuotaTable& table, std::size_t number) {
  QuotaTable::Home& home = table.homes.at(number);
  bool any_lives = false;
  home.claimed = 0;
  for (QuotaTable::Claim& claim : table.claims) {
    if (claim.home != number || claim.pid == 0) continue;
    if (!claim.process().is_dead()) {
      any_lives = true;
      home.claimed += claim.bytes;
      continue;
    }
    if (claim.in_home) {  // how much of it was written only a walk can tell
      home.used += claim.bytes;
      home.counted = false;
    }
    claim.pid = 0;
  }
  return any_lives;
}

// With no lock of a home: it may need those of all.
QuotaTable::Claim& make_claim(QuotaTable& table, std::size_t home, bool in_home) {
  const std::scoped_lock lock{table.mutex};
  QuotaTable::Claim* claim = free_claim(table);
  for (std::size_t number = 0; claim == nullptr && number < QuotaTable::kHomes; ++number) {
    const std::scoped_lock home_lock{table.homes.at(number).mutex};
    bury(table, number);
    claim = free_claim(table);
  }
  if (claim == nullptr) throw Error{"quota", "claim", ENOSPC};
  const ProcessId self = ProcessId::self();
  claim->start_time = self.start_time;
  claim->home = home;
  claim->in_home = in_home;
  claim->bytes = 0;
  claim->pid = self.pid;
  return *claim;
}

}  // namespace

QuotaMemory take_quotas(models::Inheritance& inheritance) {
  const auto found = inheritance.memory.find(kQuotaMemory);
  if (found == inheritance.memory.end()) return std::make_shared<ipc::Shared<QuotaTable>>();
  UniqueFd memory = std::move(found->second);
  inheritance.memory.erase(found);
  try {
    return std::make_shared<ipc::Shared<QuotaTable>>(
        ipc::Shared<QuotaTable>::attach(std::move(memory)));
  } catch (const Error&) {
    return std::make_shared<ipc::Shared<QuotaTable>>();
  }
}

Quota::Quota(QuotaMemory memory, const FileTree& tree, std::uint64_t bytes) {
  if (bytes == 0) return;
  if (!memory) throw Error{"quota", "home", "nobody counts"};
  memory_ = std::move(memory);
  tree_ = &tree;
  limit_ = bytes;
  home_ = &home_of(**memory_, tree);
}

std::size_t Quota::number() const noexcept {
  return static_cast<std::size_t>(home_ - (*memory_)->homes.data());
}

// What was left half-changed, or never counted, is counted; not while somebody writes there, who
// would be counted twice.
Quota::Lock Quota::lock() const {
  Lock lock{home_->mutex};
  if (home_->mutex.took_over()) home_->counted = false;
  if (!home_->counted) bury_the_dead();
  return lock;
}

void Quota::bury_the_dead() const {
  const bool any_lives = bury(**memory_, number());
  if (home_->counted || any_lives) return;
  home_->used = bytes_beneath(*tree_);
  home_->counted = true;
}

std::uint64_t Quota::free_beside(std::uint64_t used, std::uint64_t claimed) const noexcept {
  return limit_ - std::min(limit_, used + claimed);
}

Quota::Room Quota::look() const {
  const Lock locked = lock();
  bury_the_dead();
  return {.used = home_->used, .free = free_beside(home_->used, home_->claimed)};
}

std::uint64_t Quota::size_of(std::initializer_list<std::string> names) const {
  std::uint64_t bytes = 0;
  for (const std::string& name : names) {
    const auto facts = tree_->look_at_link(name);
    if (facts && S_ISREG(facts->st_mode)) bytes += static_cast<std::uint64_t>(facts->st_size);
  }
  return bytes;
}

int Quota::change(std::initializer_list<std::string> names,
                  const std::function<int()>& change) const {
  if (!is_limited()) return change();
  const Lock locked = lock();
  const std::uint64_t before = size_of(names);
  const int error = change();
  // Files that came past the server may go through it.
  home_->used = std::max(home_->used + size_of(names), before) - before;
  return error;
}

QuotaClaim::QuotaClaim(const Quota& quota, bool in_home, std::uint64_t counted, int file)
    : quota_{&quota}, counted_{counted}, file_{file} {
  if (quota.is_limited()) claim_ = &make_claim(**quota.memory_, quota.number(), in_home);
}

QuotaClaim QuotaClaim::replacing(const Quota& quota, const std::string& path, bool in_home) {
  if (!quota.is_limited()) return {quota, in_home, 0, -1};
  const auto counted = [&] {
    const Quota::Lock locked = quota.lock();
    return quota.size_of({path});
  }();
  return {quota, in_home, counted, -1};
}

QuotaClaim QuotaClaim::of_file(const Quota& quota, int file) {
  if (!quota.is_limited()) return {quota, true, 0, file};
  struct stat facts{};
  {
    const Quota::Lock locked = quota.lock();  // the home is counted before anybody writes
    if (::fstat(file, &facts) != 0) throw_errno("fstat");
  }
  return {quota, true, static_cast<std::uint64_t>(facts.st_size), file};
}

QuotaClaim::QuotaClaim(QuotaClaim&& other) noexcept
    : quota_{other.quota_},
      claim_{std::exchange(other.claim_, nullptr)},
      counted_{other.counted_},
      file_{other.file_} {}

QuotaClaim::~QuotaClaim() {
  if (claim_ == nullptr) return;
  const Quota::Lock locked{quota_->home_->mutex};
  QuotaTable::Home& home = *quota_->home_;
  struct stat facts{};
  if (file_ >= 0 && ::fstat(file_, &facts) == 0) {
    const auto size = static_cast<std::uint64_t>(facts.st_size);
    home.used = std::max(home.used + size, counted_) - counted_;
    if (facts.st_nlink == 0) home.counted = false;  // somebody deleted it meanwhile
  }
  set_claimed(0);
  claim_->pid = 0;
}

// With the lock.
void QuotaClaim::set_claimed(std::uint64_t bytes) noexcept {
  QuotaTable::Home& home = *quota_->home_;
  home.claimed = std::max(home.claimed + bytes, claim_->bytes) - claim_->bytes;
  claim_->bytes = bytes;
}

std::uint64_t QuotaClaim::grow_to(std::uint64_t bytes) {
  if (claim_ == nullptr) return kNoLimit;
  if (bytes <= counted_ + claim_->bytes) return counted_ + claim_->bytes;
  const Quota::Lock locked = quota_->lock();
  const std::uint64_t needed = bytes - counted_;
  const auto free_for_it = [&] {
    const QuotaTable::Home& home = *quota_->home_;
    return quota_->free_beside(home.used, home.claimed - claim_->bytes);
  };
  if (free_for_it() < needed) quota_->bury_the_dead();
  set_claimed(std::min(std::max(needed, claim_->bytes + kStep), free_for_it()));
  return counted_ + claim_->bytes;
}

int QuotaClaim::settle(const std::string& path, std::uint64_t bytes,
                       const std::function<int()>& change) {
  if (claim_ == nullptr) return change();
  const Quota::Lock locked = quota_->lock();
  QuotaTable::Home& home = *quota_->home_;
  const std::uint64_t before = quota_->size_of({path});
  const auto fits = [&] {
    const std::uint64_t others = home.claimed - claim_->bytes;
    return bytes <= before || bytes - before <= quota_->free_beside(home.used, others);
  };
  if (!fits()) quota_->bury_the_dead();
  if (!fits()) return EDQUOT;
  const int error = change();
  if (error != 0) return error;
  home.used = std::max(home.used + bytes, before) - before;
  set_claimed(0);
  return 0;
}

}  // namespace procpool::ftp
