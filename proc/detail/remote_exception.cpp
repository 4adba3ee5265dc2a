#include "proc/detail/remote_exception.hpp"

#include <cxxabi.h>

#include <any>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <typeinfo>
#include <variant>

#include "ipc/base/error.hpp"
#include "proc/detail/error_codec.hpp"
#include "proc/detail/image_offset.hpp"
#include "proc/pool_error.hpp"

namespace procpool::proc::detail {
namespace {

// The first word of an encoded exception: kRemote, kUnknownImage, or a place in kStandard or, from
// kFirstRegistered on, in the registered types.
constexpr std::uint32_t kRemote = 0xffff'ffff;
constexpr std::uint32_t kUnknownImage = 0xffff'fffe;
constexpr std::uint32_t kFirstRegistered = 1U << 16U;

struct StandardType {
  const std::type_info* type;
  void (*encode)(const std::exception& error, Bytes& out);
  std::exception_ptr (*decode)(Reader& in);
};

template <typename T>
constexpr StandardType with_text() noexcept {
  return {&typeid(T), [](const std::exception& error, Bytes& out) { put_text(out, error.what()); },
          [](Reader& in) { return std::make_exception_ptr(T{in.take_text()}); }};
}

template <typename T>
constexpr StandardType without_text() noexcept {
  return {&typeid(T), [](const std::exception&, Bytes&) {},
          [](Reader&) { return std::make_exception_ptr(T{}); }};
}

// Of the two categories that mean the same in every process.
bool is_generic(const std::error_code& code) noexcept {
  return code.category() == std::generic_category();
}
const std::error_category& category(bool generic) noexcept {
  return generic ? std::generic_category() : std::system_category();
}

// The constructor appends the code's message to the text again.
std::string text_before_message(const std::system_error& error) {
  std::string text = error.what();
  const std::string message = error.code().message();
  if (text.ends_with(message)) text.resize(text.size() - message.size());
  if (text.ends_with(": ")) text.resize(text.size() - 2);
  return text;
}

constexpr StandardType system_error_type() noexcept {
  return {&typeid(std::system_error),
          [](const std::exception& exception, Bytes& out) {
            const auto& error = static_cast<const std::system_error&>(exception);
            put(out, error.code().value());
            put(out, std::uint8_t{is_generic(error.code())});
            put_text(out, text_before_message(error));
          },
          [](Reader& in) {
            const auto value = in.take<int>();
            const std::error_code code{value, category(in.take<std::uint8_t>() != 0)};
            return std::make_exception_ptr(std::system_error{code, in.take_text()});
          }};
}

constexpr StandardType error_type() noexcept {
  return {&typeid(Error),
          [](const std::exception& exception, Bytes& out) {
            ipc::Codec<Error>::encode(static_cast<const Error&>(exception), out);
          },
          [](Reader& in) {
            return std::make_exception_ptr(ipc::Codec<Error>::decode(in.take_rest()));
          }};
}

constexpr std::array kStandard{
    error_type(),
    system_error_type(),
    with_text<std::logic_error>(),
    with_text<std::invalid_argument>(),
    with_text<std::domain_error>(),
    with_text<std::length_error>(),
    with_text<std::out_of_range>(),
    with_text<std::runtime_error>(),
    with_text<std::range_error>(),
    with_text<std::overflow_error>(),
    with_text<std::underflow_error>(),
    without_text<std::exception>(),
    without_text<std::bad_alloc>(),
    without_text<std::bad_array_new_length>(),
    without_text<std::bad_cast>(),
    without_text<std::bad_typeid>(),
    without_text<std::bad_exception>(),
    without_text<std::bad_any_cast>(),
    without_text<std::bad_function_call>(),
    without_text<std::bad_optional_access>(),
    without_text<std::bad_variant_access>(),
    without_text<std::bad_weak_ptr>(),
};

std::string readable(const std::type_info* type) {
  if (type == nullptr) return "unknown";
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name{
      abi::__cxa_demangle(type->name(), nullptr, nullptr, &status), &std::free};
  return name ? name.get() : type->name();
}

Bytes encode_remote(std::string_view text) {
  Bytes out;
  put(out, kRemote);
  put_text(out, readable(abi::__cxa_current_exception_type()));
  put_text(out, text);
  return out;
}

// An error code means nothing without its category, which does not travel.
bool has_own_category(const std::exception& exception) {
  const auto* const error = dynamic_cast<const std::system_error*>(&exception);
  return error != nullptr && !is_generic(error->code()) &&
         error->code().category() != std::system_category();
}

Bytes encode_standard(const std::exception& error) {
  if (has_own_category(error)) return encode_remote(error.what());
  for (std::uint32_t i = 0; i < kStandard.size(); ++i) {
    if (*kStandard[i].type != typeid(error)) continue;
    Bytes out;
    put(out, i);
    kStandard[i].encode(error, out);
    return out;
  }
  return encode_remote(error.what());
}

std::exception_ptr decode_unknown_image(Reader& in) {
  return std::make_exception_ptr(
      Error{"find function", ImageTable::name_of(in.take<std::uint64_t>()),
            "the workers do not have it: it was loaded after they were started"});
}

std::exception_ptr decode_remote(Reader& in) {
  std::string type = in.take_text();
  return std::make_exception_ptr(RemoteError{std::move(type), in.take_text()});
}

}  // namespace

Bytes encode_exception(std::span<const ExceptionType> registered) {
  for (std::uint32_t i = 0; i < registered.size(); ++i) {
    Bytes out;
    put(out, kFirstRegistered + i);
    if (registered[i].encode(std::current_exception(), out)) return out;
  }
  try {
    throw;
  } catch (const UnknownImage& unknown) {
    Bytes out;
    put(out, kUnknownImage);
    put(out, unknown.image);
    return out;
  } catch (const std::exception& error) {
    return encode_standard(error);
  } catch (...) {
    return encode_remote("not a std::exception");
  }
}

std::exception_ptr decode_exception(View bytes, std::span<const ExceptionType> registered) {
  try {
    Reader in{bytes};
    const auto kind = in.take<std::uint32_t>();
    if (kind == kRemote) return decode_remote(in);
    if (kind == kUnknownImage) return decode_unknown_image(in);
    if (kind < kStandard.size()) return kStandard[kind].decode(in);
    if (kind - kFirstRegistered < registered.size()) {
      return registered[kind - kFirstRegistered].decode(bytes.subspan(sizeof kind));
    }
    throw Error{"decode", "exception", "it is of no known kind"};
  } catch (...) {
    return std::current_exception();
  }
}

}  // namespace procpool::proc::detail
