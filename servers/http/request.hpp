// One HTTP request, as views into the bytes that it came in.
//
//   if (request.method == Method::get) serve(request.path, request.query);
//   if (auto agent = request.field("user-agent")) log(*agent);
//   for (const Field& field : request.fields) print(field.name, field.value);
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace procpool::http {

// RFC 9110 §9, PATCH of RFC 5789, MKCOL of RFC 4918. Names are case-sensitive: `get` is unknown.
enum class Method { get, head, post, put, delete_, options, trace, connect, patch, mkcol, unknown };

// RFC 9112 §3.2.
enum class TargetForm {
  origin,     // /path?query
  absolute,   // http://host/path?query, as proxies are asked
  authority,  // host:port, of CONNECT
  asterisk,   // *, of OPTIONS: the server itself
};

// How the body's end is known (RFC 9112 §6).
enum class BodyFraming { none, length, chunked };

struct Field {
  std::string_view name;   // as it was sent; compare without case
  std::string_view value;  // without the white space around it
};

// The fields of one head in the order they came, repeated ones apart. Never allocates. clear() is
// cheap: what lies behind size() is left as it was.
class Fields {
 public:
  static constexpr std::size_t kCapacity = 100;

  const Field* begin() const noexcept { return items_.data(); }
  const Field* end() const noexcept { return items_.data() + size_; }
  std::size_t size() const noexcept { return size_; }
  void clear() noexcept { size_ = 0; }

  // False when there is no room left.
  [[nodiscard]] bool add(Field field) noexcept;

  // The value of the first field of this name (in any case), or nullopt.
  std::optional<std::string_view> find(std::string_view name) const noexcept;

  // The same, but nullopt also when there are several of this name.
  std::optional<std::string_view> find_only(std::string_view name) const noexcept;

 private:
  std::size_t size_ = 0;
  std::array<Field, kCapacity> items_;
};

// What HeadParser made of a head. Owns nothing: each view is good as long as the bytes that were
// parsed stay where they are. One object serves any number of requests, one after another.
struct Request {
  std::string_view line;  // the request line as it came, for the log; empty when it never ended

  Method method = Method::unknown;
  std::string_view method_name;

  TargetForm target_form = TargetForm::origin;
  std::string_view target;  // raw, as it was sent
  std::string_view path;  // raw (still encoded); begins with '/', or is empty (asterisk, authority)
  std::string_view query;  // raw, behind the first '?'; empty also when there is none
  std::string_view host;  // host[:port]: of the target in absolute form, else of Host; may be empty

  int minor_version = 1;  // 0: HTTP/1.0; 1: HTTP/1.1 and whatever later 1.x the client speaks

  Fields fields;

  BodyFraming body_framing = BodyFraming::none;
  std::uint64_t content_length = 0;  // when body_framing is length

  bool keep_alive = false;       // the client wants the connection to persist (RFC 9112 §9.3)
  bool expect_continue = false;  // it waits for 100 (never true in 1.0: RFC 9110 §10.1.1)

  std::optional<std::string_view> field(std::string_view name) const noexcept {
    return fields.find(name);
  }

  // As new, without touching the room for the fields.
  void reset() noexcept;
};

// Equal but for the case of ASCII letters.
bool equals_ignoring_case(std::string_view left, std::string_view right) noexcept;

}  // namespace procpool::http
