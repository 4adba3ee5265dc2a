// How a call travels: for each type of function and arguments there is a function that decodes
// them and calls, the thunk; it is found in the other process by its place in the program.
//
//   Pieces pieces; pieces.add_call<int>(images, &f, 42);      // here
//   thunk(Invocation{pieces.joined(), images, sink});         // there
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "ipc/codec.hpp"
#include "proc/detail/image_offset.hpp"
#include "proc/detail/wire.hpp"

namespace procpool::proc::detail {

// As what an argument travels.
template <typename T>
struct SentAs {
  using type = T;
};
template <>
struct SentAs<const char*> {
  using type = std::string;
};
template <>
struct SentAs<char*> {
  using type = std::string;
};
template <>
struct SentAs<std::string_view> {
  using type = std::string;
};
template <typename T>
using Sent = typename SentAs<std::decay_t<T>>::type;

template <typename F>
concept FunctionPointer = std::is_pointer_v<F> && std::is_function_v<std::remove_pointer_t<F>>;

template <typename F>
concept Stateless = std::is_class_v<F> && std::is_empty_v<F> && std::default_initializable<F>;

template <typename F>
concept WithState =
    std::is_class_v<F> && !std::is_empty_v<F> && ipc::Encodable<F> && std::default_initializable<F>;

// Whose codec appends what lies in memory anyway, which then need not be copied before.
template <typename T>
concept InMemory =
    std::is_arithmetic_v<T> || std::is_enum_v<T> || std::same_as<T, std::string> ||
    (std::same_as<T, std::vector<typename T::value_type, typename T::allocator_type>> &&
     std::is_arithmetic_v<typename T::value_type> && !std::same_as<typename T::value_type, bool>);

template <InMemory T>
View bytes_of(const T& value) noexcept {
  if constexpr (std::is_class_v<T>) {
    return std::as_bytes(std::span{value});
  } else {
    return view_of(value);
  }
}

// The bytes of one or more calls, some of them where they lie already. Valid as long as the
// arguments are.
class Pieces {
 public:
  Pieces() = default;

  // One item: its size, then the function, then each argument with its size.
  template <typename... As, typename F, typename... Args>
  void add_call(ImageTable& images, const F& function, const Args&... args) {
    const std::size_t start = copies_.size();
    const std::size_t before = total_;
    put_size(0);
    if constexpr (FunctionPointer<F>) {
      append(view_of(images.locate(reinterpret_cast<const void*>(function))));
    } else if constexpr (WithState<F>) {
      add_value<F>(function);
    }
    (add_value<As>(args), ...);
    const std::uint64_t size = total_ - before - sizeof(std::uint64_t);
    std::memcpy(copies_.data() + start, &size, sizeof size);
  }

  // From here on the arguments need not be valid.
  void own() {
    if (!parts_.empty()) *this = Pieces{joined()};
  }

  void clear() noexcept {
    parts_.clear();
    copies_.clear();
    total_ = 0;
  }
  std::size_t size() const noexcept { return total_; }

  void copy_to(std::byte* to) const noexcept {
    std::size_t copied = 0;
    const auto copy_up_to = [&](std::size_t end) {
      if (end != copied) std::memcpy(to, copies_.data() + copied, end - copied);
      to += end - copied;
      copied = end;
    };
    for (const Part& part : parts_) {
      copy_up_to(part.behind);
      std::memcpy(to, part.bytes.data(), part.bytes.size());
      to += part.bytes.size();
    }
    copy_up_to(copies_.size());
  }
  Bytes joined() const {
    Bytes all(total_);
    copy_to(all.data());
    return all;
  }

 private:
  static constexpr std::size_t kWorthNoCopy = 1024;

  explicit Pieces(Bytes all) : copies_{std::move(all)}, total_{copies_.size()} {}

  struct Part {
    std::size_t behind;  // so many of the copies
    View bytes;
  };

  template <typename As, typename T = As>
  void add_value(const T& value) {
    if constexpr (!std::same_as<As, T>) {
      const As converted{value};
      add_copied(bytes_of(converted));
    } else if constexpr (InMemory<As>) {
      const View bytes = bytes_of(value);
      if (bytes.size() < kWorthNoCopy) return add_copied(bytes);
      put_size(bytes.size());
      parts_.push_back({copies_.size(), bytes});
      total_ += bytes.size();
    } else {
      const std::size_t start = copies_.size();
      put_size(0);
      ipc::Codec<As>::encode(value, copies_);
      const std::uint64_t size = copies_.size() - start - sizeof(std::uint64_t);
      std::memcpy(copies_.data() + start, &size, sizeof size);
      total_ += size;
    }
  }

  void add_copied(View bytes) {
    put_size(bytes.size());
    append(bytes);
  }
  void put_size(std::uint64_t size) { append(view_of(size)); }
  void append(View bytes) {
    copies_.insert(copies_.end(), bytes.begin(), bytes.end());
    total_ += bytes.size();
  }

  std::vector<Part> parts_;
  Bytes copies_;
  std::size_t total_ = 0;
};

// Takes the result of one call.
class ResultSink {
 public:
  virtual ~ResultSink() = default;
  virtual void take(View result) = 0;
};

struct Invocation {
  View arguments;
  ImageTable& images;
  ResultSink& sink;
  Bytes& scratch;  // empty
};

using Thunk = void (*)(Invocation&);

template <typename F>
F take_function(Reader& reader, ImageTable& images) {
  if constexpr (FunctionPointer<F>) {
    const auto place = reader.take<ImageOffset>();
    void* const address = images.find(place);
    if (address == nullptr) throw UnknownImage{place.image};
    return reinterpret_cast<F>(address);
  } else if constexpr (WithState<F>) {
    return ipc::Codec<F>::decode(reader.take_block());
  } else {
    return F{};
  }
}

template <typename T>
void give_result(Invocation& call, const T& result) {
  if constexpr (InMemory<T>) {
    call.sink.take(bytes_of(result));
  } else {
    ipc::Codec<T>::encode(result, call.scratch);
    call.sink.take(call.scratch);
  }
}

template <typename... Args>
std::tuple<Args...> take_arguments([[maybe_unused]] Reader& reader) {
  return std::tuple<Args...>{ipc::Codec<Args>::decode(reader.take_block())...};
}

// Each argument by its type; the items of a starmap are calls of more than one.
template <typename F, typename... Args>
void call_remotely(Invocation& call) {
  Reader reader{call.arguments};
  auto function = take_function<F>(reader, call.images);
  if constexpr (std::is_void_v<std::invoke_result_t<F&, Args...>>) {
    std::apply(function, take_arguments<Args...>(reader));
    call.sink.take({});
  } else {
    give_result<std::decay_t<std::invoke_result_t<F&, Args...>>>(
        call, std::apply(function, take_arguments<Args...>(reader)));
  }
}

template <typename F, typename... Args>
constexpr Thunk thunk_for() noexcept {
  static_assert((ipc::Encodable<Args> && ...), "an argument has no procpool::ipc::Codec");
  static_assert(std::is_invocable_v<F&, Args...>, "the function does not take these arguments");
  using R = std::decay_t<std::invoke_result_t<F&, Args...>>;
  if constexpr (!std::is_void_v<R>) {
    static_assert(ipc::Encodable<R>, "the result has no procpool::ipc::Codec");
  }
  return &call_remotely<F, Args...>;
}

}  // namespace procpool::proc::detail
