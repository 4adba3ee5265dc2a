// One owner for one descriptor.
//
//   UniqueFd file{::open(path, O_RDONLY | O_CLOEXEC)};
//   if (!file.valid()) throw_errno("open", path);
//   ::read(file.fd(), ...);                  // fd() lends, release() gives away
#pragma once

#include <unistd.h>

#include <utility>

namespace procpool {

// Owns a file descriptor and closes it. Move only. Not convertible to bool or int: a descriptor
// cannot be tested or copied by accident. After fork both processes own their own copy.
class UniqueFd {
 public:
  UniqueFd() noexcept = default;
  explicit UniqueFd(int fd) noexcept : fd_{fd} {}  // takes ownership; negative: none
  UniqueFd(UniqueFd&& other) noexcept : fd_{other.release()} {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~UniqueFd() { reset(); }

  int fd() const noexcept { return fd_; }  // -1: none
  bool valid() const noexcept { return fd_ >= 0; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

  // Closes what is held and owns `fd` instead. An error of close(2) is not reported: on Linux the
  // descriptor is gone whatever it says. errno is kept, so that a failed call may be reported
  // after.
  void reset(int fd = -1) noexcept;

 private:
  int fd_ = -1;
};

}  // namespace procpool
