// A place in a program or library as another process of the same ancestry finds it.
//
//   ImageTable images;
//   ImageOffset there = images.locate(address);       // travels
//   void* here = images.find(there);                  // nullptr: this process has no such image
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>

namespace procpool::proc::detail {

// Which image (a hash of its build ID, or of its path if it has none) and how far in it.
struct ImageOffset {
  std::uint64_t image = 0;
  std::uint64_t offset = 0;

  friend bool operator==(const ImageOffset&, const ImageOffset&) = default;
};

// Looks places up in the images that this process has loaded (dl_iterate_phdr(3)), and remembers
// what it found. For one thread.
class ImageTable {
 public:
  // Throws Error: the address is in no image (code made at run time).
  ImageOffset locate(const void* address);

  // Nullptr: there is no such image here.
  void* find(const ImageOffset& place);

  // Its path, if this process has it.
  static std::string name_of(std::uint64_t image);

 private:
  struct Hash {
    std::size_t operator()(const ImageOffset& place) const noexcept {
      return place.offset * 0x9e3779b97f4a7c15 ^ place.image;
    }
  };
  std::unordered_map<const void*, ImageOffset> located_;
  std::unordered_map<ImageOffset, void*, Hash> found_;
};

// What is thrown where find() says nullptr; it arrives as an Error that names the library.
struct UnknownImage {
  std::uint64_t image;
};

}  // namespace procpool::proc::detail
