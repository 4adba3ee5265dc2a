// How an exception travels from the worker in which it was thrown to the one who waits for it.
//
//   } catch (...) { channel.send(encode_exception(types)); }              // in the worker
//   std::rethrow_exception(decode_exception(bytes, types));              // where get() is called
#pragma once

#include <exception>
#include <span>

#include "proc/detail/wire.hpp"
#include "proc/exception_type.hpp"

namespace procpool::proc::detail {

// The exception that is being handled. Registered types first, in their order; then those of the
// standard library and Error, if it is of just that type; anything else as a RemoteError.
Bytes encode_exception(std::span<const ExceptionType> registered);

// Never throws what it does not decode: rubbish comes back as an Error.
std::exception_ptr decode_exception(View bytes, std::span<const ExceptionType> registered);

}  // namespace procpool::proc::detail
