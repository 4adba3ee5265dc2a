#include "proc/detail/error_codec.hpp"

#include <string>
#include <string_view>

namespace procpool::ipc {
namespace {

// What comes before the text of Error::what(), whose beginning the operation and the object are.
struct Head {
  int error_number;
  std::size_t operation;  // sizes
  std::size_t object;
};

// operation "object": reason
std::size_t reason_begin(std::size_t operation, std::size_t object) {
  constexpr std::string_view kQuotes = " \"\"";
  constexpr std::string_view kColon = ": ";
  return operation + (object > 0 ? object + kQuotes.size() : 0) + kColon.size();
}

[[noreturn]] void throw_rubbish() {
  throw Error{"decode", "error", "it is not what was encoded"};
}

}  // namespace

void Codec<Error>::encode(const Error& error, std::vector<std::byte>& out) {
  Codec<Head>::encode({.error_number = error.code().value(),
                       .operation = error.operation().size(),
                       .object = error.object().size()},
                      out);
  Codec<std::string>::encode(error.operation() + error.object() + error.what(), out);
}

Error Codec<Error>::decode(std::span<const std::byte> bytes) {
  if (bytes.size() < sizeof(Head)) throw_rubbish();
  const Head head = Codec<Head>::decode(bytes.first(sizeof(Head)));
  const std::string text = Codec<std::string>::decode(bytes.subspan(sizeof(Head)));
  if (head.operation > text.size() || head.object > text.size() - head.operation) throw_rubbish();
  const std::string operation = text.substr(0, head.operation);
  const std::string object = text.substr(head.operation, head.object);
  const std::size_t begin =
      operation.size() + object.size() + reason_begin(operation.size(), object.size());
  if (begin > text.size()) throw_rubbish();
  const std::string reason = text.substr(begin);
  return reason == error_text(head.error_number) ? Error{operation, object, head.error_number}
                                                 : Error{operation, object, reason};
}

}  // namespace procpool::ipc
