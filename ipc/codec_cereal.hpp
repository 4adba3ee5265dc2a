// Messages of whatever cereal can serialise: structures with strings, containers, optionals.
//
//   #include <cereal/types/string.hpp>               // and for each other type that you use
//   struct Job {
//     std::string name; std::vector<std::string> arguments;
//     template <typename Archive> void serialize(Archive& archive) { archive(name, arguments); }
//   };
//   ipc::Queue<Job> jobs{1024};
//
// For programs that have cereal (https://uscilab.github.io/cereal/); nothing else here includes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <cereal/cereal.hpp>

#include "ipc/base/error.hpp"
#include "ipc/codec.hpp"

namespace procpool::ipc {

// cereal's archives over bytes, as its binary ones. They are not for archives in files: the bytes
// mean something on this machine only.
class CerealWriter : public cereal::OutputArchive<CerealWriter, cereal::AllowEmptyClassElision> {
 public:
  explicit CerealWriter(std::vector<std::byte>& out) : OutputArchive{this}, out_{out} {}

  void write(const void* data, std::size_t size) {
    const auto* const bytes = static_cast<const std::byte*>(data);
    out_.insert(out_.end(), bytes, bytes + size);
  }

 private:
  std::vector<std::byte>& out_;
};

// Reads what another process wrote, which may be anything: it never reads beyond the end, never
// makes room for more elements than there are bytes, and never follows more than kMostDepth levels.
class CerealReader : public cereal::InputArchive<CerealReader, cereal::AllowEmptyClassElision> {
 public:
  static constexpr int kMostDepth = 1000;

  explicit CerealReader(std::span<const std::byte> bytes) : InputArchive{this}, rest_{bytes} {}

  void read(void* data, std::size_t size) {
    if (size > rest_.size()) refuse("it ends too early");
    if (size != 0) std::memcpy(data, rest_.data(), size);
    rest_ = rest_.subspan(size);
  }
  std::size_t rest() const noexcept { return rest_.size(); }

  void enter() {
    if (++depth_ > kMostDepth) refuse("it is nested too deep");
  }
  void leave() noexcept { --depth_; }

  // cereal's own would give out an object of any type that came before as one of this type.
  std::shared_ptr<void> getSharedPointer(std::uint32_t id) {  // NOLINT(*-identifier-naming)
    if (id != 0) refuse("it points to an object twice");
    return nullptr;
  }

  [[noreturn]] static void refuse(std::string_view reason) {
    throw Error{"decode", "message", reason};
  }

 private:
  std::span<const std::byte> rest_;
  int depth_ = 0;
};

// What cereal looks for by name.
template <typename T>
  requires std::is_arithmetic_v<T>
void save(CerealWriter& archive, const T& value) {
  archive.write(std::addressof(value), sizeof value);
}
template <typename T>
  requires std::is_arithmetic_v<T>
void load(CerealReader& archive, T& value) {
  if constexpr (std::is_same_v<T, bool>) {  // any other value is none of its type
    std::uint8_t byte = 0;
    archive.read(&byte, 1);
    if (byte > 1) CerealReader::refuse("a bool in it is neither true nor false");
    value = byte == 1;
  } else {
    archive.read(std::addressof(value), sizeof value);
  }
}
template <typename T>
void serialize(CerealWriter& archive, cereal::NameValuePair<T>& pair) {
  archive(pair.value);
}
template <typename T>
void serialize(CerealReader& archive, cereal::NameValuePair<T>& pair) {
  archive(pair.value);
}
template <typename T>
void serialize(CerealWriter& archive, cereal::SizeTag<T>& tag) {
  archive(tag.size);
}
// An element has a byte or more, but for those of empty classes, whose rows are refused.
template <typename T>
void serialize(CerealReader& archive, cereal::SizeTag<T>& tag) {
  archive(tag.size);
  if (tag.size > archive.rest()) CerealReader::refuse("it is shorter than it says");
}
template <typename T>
void save(CerealWriter& archive, const cereal::BinaryData<T>& data) {
  archive.write(data.data, data.size);
}
template <typename T>
void load(CerealReader& archive, cereal::BinaryData<T>& data) {
  archive.read(data.data, data.size);
}
template <typename T>
void prologue(CerealReader& archive, const T& /*value*/) {
  archive.enter();
}
template <typename T>
void epilogue(CerealReader& archive, const T& /*value*/) {
  archive.leave();
}

template <typename T>
concept CerealSerializable = !Trivial<T> && std::is_default_constructible_v<T> &&
                             cereal::traits::is_output_serializable<T, CerealWriter>::value &&
                             cereal::traits::is_input_serializable<T, CerealReader>::value;

template <CerealSerializable T>
struct Codec<T> {
  static void encode(const T& value, std::vector<std::byte>& out) { CerealWriter{out}(value); }

  // Rubbish may also be a value of T; no other bytes are left over then.
  static T decode(std::span<const std::byte> bytes) {
    CerealReader reader{bytes};  // NOLINT(misc-const-correctness): reading changes it
    T value;
    try {
      reader(value);
    } catch (const Error&) {
      throw;
    } catch (const std::exception& error) {  // of cereal, of the containers, of T's own functions
      CerealReader::refuse(error.what());
    }
    if (reader.rest() != 0) CerealReader::refuse("it is longer than its value");
    return value;
  }
};

}  // namespace procpool::ipc

CEREAL_REGISTER_ARCHIVE(procpool::ipc::CerealWriter)
CEREAL_REGISTER_ARCHIVE(procpool::ipc::CerealReader)
CEREAL_SETUP_ARCHIVE_TRAITS(procpool::ipc::CerealReader, procpool::ipc::CerealWriter)
