#include "ipc/base/error.hpp"

namespace procpool {
namespace {

std::string sentence(std::string_view operation, std::string_view object, std::string_view reason) {
  std::string text{operation};
  if (!object.empty()) text.append(" \"").append(object).append("\"");
  return text.append(": ").append(reason);
}

}  // namespace

Error::Error(std::string_view operation, std::string_view object, int error_number)
    : std::system_error{error_number, std::generic_category()},
      operation_{operation},
      object_{object},
      text_{sentence(operation, object, error_text(error_number))} {}

Error::Error(std::string_view operation, std::string_view object, std::string_view reason)
    : std::system_error{std::make_error_code(std::errc::invalid_argument)},
      operation_{operation},
      object_{object},
      text_{sentence(operation, object, reason)} {}

void throw_errno(std::string_view operation, std::string_view object, int error_number) {
  throw Error{operation, object, error_number};
}

std::string error_text(int error_number) {
  return std::generic_category().message(error_number);
}

}  // namespace procpool
