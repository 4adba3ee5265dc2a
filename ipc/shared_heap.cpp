#include "ipc/shared_heap.hpp"

#include <algorithm>
#include <atomic>
#include <new>

#include <boost/version.hpp>

namespace procpool::ipc {
namespace detail {

// What a heap's segment begins with; its arena follows.
struct HeapRoot {
  struct Entry {
    std::uint64_t type;
    boost::interprocess::offset_ptr<void> object;
  };
  using Directory = heap::map<heap::string, Entry>;

  HeapRoot() : directory{allocator()} {}

  HeapArena& arena() noexcept;
  heap::Allocator<std::byte> allocator() noexcept {
    return heap::Allocator<std::byte>{HeapAllocator<std::byte>{arena()}};
  }

  // An update is marked before its first change and until after its last one, so whoever dies in
  // between leaves the mark. What a dead process has stored is seen by others in the order of its
  // program, which only the compiler could change.
  void begin_update() noexcept {
    in_update.store(1, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  void end_update() noexcept { in_update.store(0, std::memory_order_release); }

  Mutex mutex;
  std::atomic<std::uint32_t> in_update = 0;
  Directory directory;
};

}  // namespace detail

namespace {

using detail::HeapArena;
using detail::HeapRoot;

constexpr std::size_t kStep = HeapArena::kStep;
constexpr std::size_t kLeast = 2 * kStep;
constexpr std::size_t kFirst = 16 * kStep;  // what a heap takes from the system at first
constexpr std::size_t kArenaAt = (sizeof(HeapRoot) + 63) / 64 * 64;

SharedMemory::Layout layout(std::size_t maximum) {
  constexpr std::size_t kMost = std::size_t{1} << 47U;
  if (maximum < kLeast || maximum > kMost) {
    throw Error{"make heap", std::to_string(maximum), "its maximum is 8192 to 2^47 bytes"};
  }
  const std::size_t size = (maximum + kStep - 1) / kStep * kStep;
  return {.hash = detail::hash_of_type<HeapRoot>({size, sizeof(HeapArena), BOOST_VERSION}),
          .size = size,
          .reserved = std::min(size, kFirst)};
}

SharedMemory::Construct construct(const SharedMemory::Layout& layout) {
  return [layout](std::byte* memory) {
    new (memory + kArenaAt) HeapArena{layout.reserved - kArenaAt, layout.size - kArenaAt};
    new (memory) HeapRoot;
  };
}

}  // namespace

HeapArena& HeapRoot::arena() noexcept {
  return *std::launder(reinterpret_cast<HeapArena*>(reinterpret_cast<std::byte*>(this) + kArenaAt));
}

HeapView::HeapView(HeapRoot& root, std::unique_lock<Mutex> lock) noexcept
    : lock_{std::move(lock)}, root_{&root} {}

void* HeapView::look_up(std::string_view name, std::uint64_t type) const {
  const auto found = root_->directory.find(name);
  if (found == root_->directory.end()) return nullptr;
  if (found->second.type != type) throw Error{"find in heap", name, "it is of another type"};
  return found->second.object.get();
}

std::vector<std::string> HeapView::names() const {
  std::vector<std::string> names;
  names.reserve(root_->directory.size());
  for (const auto& entry : root_->directory) names.emplace_back(std::string_view{entry.first});
  return names;
}

std::size_t HeapView::maximum() const {
  return kArenaAt + root_->arena().maximum();
}

std::size_t HeapView::used() const {
  return kArenaAt + root_->arena().used();
}

// A copy in a child of fork does not own the lock, and must not say that the update is over.
HeapAccess::~HeapAccess() {
  if (lock_.owns_lock() && root_->mutex.is_mine()) root_->end_update();
}

heap::Allocator<std::byte> HeapAccess::allocator() const {
  return root_->allocator();
}

void HeapAccess::add(std::string_view name, std::uint64_t type, void* object) {
  root_->directory.emplace(name, HeapRoot::Entry{.type = type, .object = object});
}

void HeapAccess::remove(std::string_view name) {
  root_->directory.erase(root_->directory.find(name));
}

SharedHeap::SharedHeap(std::size_t maximum)
    : SharedHeap{SharedMemory::anonymous(layout(maximum), construct(layout(maximum)))} {}

SharedHeap SharedHeap::open(std::string_view name, std::size_t maximum) {
  return SharedHeap{SharedMemory::open(name, layout(maximum), construct(layout(maximum)))};
}

SharedHeap SharedHeap::attach(UniqueFd segment, std::size_t maximum) {
  return SharedHeap{SharedMemory::attach(std::move(segment), layout(maximum))};
}

HeapRoot& SharedHeap::root() const noexcept {
  return *std::launder(reinterpret_cast<HeapRoot*>(memory_.data()));
}

std::unique_lock<Mutex> SharedHeap::lock_whole() const {
  std::unique_lock lock{root().mutex};
  if (root().in_update.load(std::memory_order_relaxed) != 0) {
    throw HeapBroken{"lock", "heap", "a process died in the middle of an update of it"};
  }
  const HeapArena& arena = root().arena();
  if (arena.maximum() != maximum() - kArenaAt || arena.size() > arena.maximum()) {
    throw Error{"lock", "heap", "its memory is corrupted"};
  }
  return lock;
}

HeapAccess SharedHeap::lock() {
  HeapAccess access{root(), lock_whole()};
  root().begin_update();
  return access;
}

HeapView SharedHeap::view() const {
  return {root(), lock_whole()};
}

HeapAccess SharedHeap::reset() {
  return empty(std::unique_lock{root().mutex});
}

std::optional<HeapAccess> SharedHeap::reset_if_broken() {
  std::unique_lock lock{root().mutex};
  if (root().in_update.load(std::memory_order_relaxed) == 0) return std::nullopt;
  return empty(std::move(lock));
}

// Killed in here, it leaves the heap broken.
HeapAccess SharedHeap::empty(std::unique_lock<Mutex> lock) {
  root().begin_update();
  HeapAccess access{root(), std::move(lock)};
  const SharedMemory::Layout whole = layout(maximum());
  new (&root().arena()) HeapArena{whole.reserved - kArenaAt, whole.size - kArenaAt};
  new (&root().directory) HeapRoot::Directory{root().allocator()};
  root().arena().give_back_the_rest();
  return access;
}

}  // namespace procpool::ipc
