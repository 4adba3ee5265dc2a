#include "servers/http/request.hpp"

#include <algorithm>

#include "servers/http/detail/grammar.hpp"

namespace procpool::http {

bool equals_ignoring_case(std::string_view left, std::string_view right) noexcept {
  return left.size() == right.size() &&
         std::equal(left.begin(), left.end(), right.begin(),
                    [](char a, char b) { return a == b || to_lower(a) == to_lower(b); });
}

bool Fields::add(Field field) noexcept {
  if (size_ == kCapacity) return false;
  items_[size_++] = field;
  return true;
}

std::optional<std::string_view> Fields::find(std::string_view name) const noexcept {
  for (const Field& field : *this) {
    if (equals_ignoring_case(field.name, name)) return field.value;
  }
  return std::nullopt;
}

std::optional<std::string_view> Fields::find_only(std::string_view name) const noexcept {
  std::optional<std::string_view> found;
  for (const Field& field : *this) {
    if (!equals_ignoring_case(field.name, name)) continue;
    if (found) return std::nullopt;
    found = field.value;
  }
  return found;
}

void Request::reset() noexcept {
  line = method_name = target = path = query = host = {};
  method = Method::unknown;
  target_form = TargetForm::origin;
  minor_version = 1;
  fields.clear();
  body_framing = BodyFraming::none;
  content_length = 0;
  keep_alive = expect_continue = false;
}

}  // namespace procpool::http
