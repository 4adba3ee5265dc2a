// A function and its arguments, as they travel to another process.
//
//   Call call{&load, "/srv/data", 3};
//   PoolOptions options{.initializer = call};
#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "ipc/codec.hpp"
#include "proc/detail/thunk.hpp"

namespace procpool::proc {

// What may be called in another process: a function; a lambda that captures nothing, or another
// object without members; or an object whose type has an ipc::Codec and a default constructor (a
// lambda that captures has none: it might hold references into this process). A function travels as
// the library or program that it is in, and its place there: the other process must have loaded the
// same one.
template <typename F>
concept Callable = detail::FunctionPointer<std::decay_t<F>> || detail::Stateless<std::decay_t<F>> ||
                   detail::WithState<std::decay_t<F>>;

// What F gives when called with these arguments, which travel by their ipc::Codec, as copies; a
// string literal or a std::string_view as std::string.
template <typename F, typename... Args>
using ResultOf = std::decay_t<std::invoke_result_t<std::decay_t<F>&, detail::Sent<Args>...>>;

// A value. Its result is dropped.
class Call {
 public:
  template <Callable F, typename... Args>
    requires(!std::same_as<std::decay_t<F>, Call>)
  explicit Call(const F& function, const Args&... args)
      : thunk_{detail::thunk_for<std::decay_t<F>, detail::Sent<Args>...>()} {
    detail::ImageTable images;
    detail::Pieces pieces;
    pieces.add_call<detail::Sent<Args>...>(images, std::decay_t<F>{function}, args...);
    arguments_ = pieces.joined();
  }

  detail::Thunk thunk() const noexcept { return thunk_; }
  const std::vector<std::byte>& arguments() const noexcept { return arguments_; }

 private:
  detail::Thunk thunk_;
  std::vector<std::byte> arguments_;
};

}  // namespace procpool::proc
