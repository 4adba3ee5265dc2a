// Exceptions of your own that come back from a Pool's workers as themselves.
//
//   template <> struct procpool::ipc::Codec<ParseError> { ... };
//   Pool pool{{.workers = 4, .exceptions = {exception_type<ParseError>()}}};
//   try { pool.submit(&parse, text).get(); } catch (const ParseError& error) { ... }
#pragma once

#include <cstddef>
#include <exception>
#include <span>
#include <type_traits>
#include <vector>

#include "ipc/codec.hpp"

namespace procpool::proc {

// How one type of exception travels. A value; made by exception_type().
struct ExceptionType {
  // False: the exception is not of this very type.
  bool (*encode)(const std::exception_ptr&, std::vector<std::byte>& out);
  std::exception_ptr (*decode)(std::span<const std::byte> bytes);
};

// For a type that has a Codec. Exceptions of types derived from it travel as it.
template <ipc::Encodable T>
ExceptionType exception_type() noexcept {
  return {[](const std::exception_ptr& exception, std::vector<std::byte>& out) {
            try {
              std::rethrow_exception(exception);
            } catch (const T& error) {
              ipc::Codec<T>::encode(error, out);
              return true;
            } catch (...) {
              return false;
            }
          },
          [](std::span<const std::byte> bytes) {
            return std::make_exception_ptr(ipc::Codec<T>::decode(bytes));
          }};
}

}  // namespace procpool::proc
