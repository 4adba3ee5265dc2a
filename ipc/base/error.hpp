// What cannot be expected to fail throws an Error, which says what was tried, on what, and why not.
//
//   int fd = ::open(path, O_RDONLY | O_CLOEXEC);
//   if (fd < 0) throw_errno("open", path);
//   // what(): open "/srv/www/x": Permission denied
#pragma once

#include <cerrno>
#include <string>
#include <string_view>
#include <system_error>

namespace procpool {

// A failed operation: its name, the object it was tried on (may be empty), and the reason.
// Copyable, may cross threads. code() is in std::generic_category when the reason is an errno.
class Error : public std::system_error {
 public:
  // The reason is an errno value.
  Error(std::string_view operation, std::string_view object, int error_number);

  // The reason is a sentence: for what no errno describes. code() is then
  // std::errc::invalid_argument.
  Error(std::string_view operation, std::string_view object, std::string_view reason);

  const std::string& operation() const noexcept { return operation_; }
  const std::string& object() const noexcept { return object_; }
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::string operation_;
  std::string object_;
  std::string text_;
};

// Throws the Error of a failed system call; reads errno before anything can change it.
[[noreturn]] void throw_errno(std::string_view operation, std::string_view object = {},
                              int error_number = errno);

// The text of an errno value, as strerror(3) gives it, without its shared buffer.
std::string error_text(int error_number);

}  // namespace procpool
