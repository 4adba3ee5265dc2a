#include "servers/http/spooled_body.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <span>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"

namespace procpool::http {
namespace {

constexpr auto kName = "body of a request";

UniqueFd open_memory() {
  UniqueFd memory{::memfd_create("body", MFD_CLOEXEC)};
  if (!memory.valid()) throw_errno("memfd_create", kName);
  return memory;
}

UniqueFd open_file() {
  std::error_code no_folder;
  const auto folder = std::filesystem::temp_directory_path(no_folder);
  if (no_folder) return open_memory();
  UniqueFd file{::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR)};
  return file.valid() ? std::move(file) : open_memory();
}

}  // namespace

void SpooledBody::write(std::string_view bytes) {
  if (!file_.valid() && memory_.size() + bytes.size() > kMostInMemory) {
    file_ = open_file();
    write_full(file_.fd(), std::exchange(memory_, {}), kName);
  }
  if (file_.valid()) {
    write_full(file_.fd(), bytes, kName);
  } else {
    memory_.append(bytes);
  }
  size_ += bytes.size();
}

std::string SpooledBody::text() const {
  if (!file_.valid()) return memory_;
  std::string text(size_, '\0');
  if (::lseek(file_.fd(), 0, SEEK_SET) < 0) throw_errno("lseek", kName);
  text.resize(read_full(file_.fd(), std::as_writable_bytes(std::span{text}), kName));
  return text;
}

UniqueFd SpooledBody::file() && {
  if (!file_.valid()) {
    file_ = open_memory();
    write_full(file_.fd(), std::exchange(memory_, {}), kName);
  }
  if (::lseek(file_.fd(), 0, SEEK_SET) < 0) throw_errno("lseek", kName);
  return std::move(file_);
}

}  // namespace procpool::http
