// Bytes are a message or an Error: nothing else ever happens. What is a message can be sent again.
#include "ipc/codec_cereal.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include <cereal/types/map.hpp>
#include <cereal/types/memory.hpp>
#include <cereal/types/optional.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/variant.hpp>
#include <cereal/types/vector.hpp>

#include "ipc/base/error.hpp"
#include "tests/fuzz/check.hpp"

namespace procpool::ipc {

using fuzz::check;

namespace {

struct Tree {
  std::string name;
  bool leaf = false;
  std::vector<bool> flags;
  std::variant<int, std::string, std::vector<double>> value;
  std::map<std::string, std::optional<double>> limits;
  std::shared_ptr<std::string> text;
  std::vector<std::unique_ptr<Tree>> children;

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(name, leaf, flags, value, limits, text, children);
  }
};

std::vector<std::byte> encoded(const Tree& tree) {
  std::vector<std::byte> bytes;
  Codec<Tree>::encode(tree, bytes);
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const Tree tree = Codec<Tree>::decode(std::as_bytes(std::span{data, size}));
    const auto bytes = encoded(tree);
    check(encoded(Codec<Tree>::decode(bytes)) == bytes, "a message is the same after a journey");
  } catch (const Error& error) {
    check(error.operation() == "decode", "rubbish is told as such");
  }
  return 0;
}

}  // namespace procpool::ipc
