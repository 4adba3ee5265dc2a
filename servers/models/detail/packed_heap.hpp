// Why a child of fork writes to few of the pages that it shares with its parent.
//
//   PackedHeap heap;
//   heap.pack();                                     // in the parent
//   proc::Process::fork([] { return serve(); });
//   heap.loosen();                                   // before much is allocated and freed
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace procpool::models::detail {

// A parent that has read its configuration leaves holes all over its heap. A child that fills them
// makes copies of nearly all of its pages; this fills them first, so that what a child allocates
// lies side by side behind all that its parent has. (A session of the FTP server wrote to 26 pages
// of the heap, and writes to 11.) Owns what it fills them with. Of one thread; does nothing under
// another allocator than glibc's.
class PackedHeap {
 public:
  void pack();
  void loosen() noexcept;  // what was filled can be used again

 private:
  struct Free {
    void operator()(void* filling) const noexcept;
  };
  std::vector<std::unique_ptr<void, Free>> fillings_;
};

}  // namespace procpool::models::detail
