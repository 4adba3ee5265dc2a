// From a request's path to a path beneath the root, and back.
//
//   std::string relative;
//   auto target = resolve_target(request.path, relative);   // "/a/%62/../c/" -> "a/c"
//   if (target.status != Status::ok) return answer(target.status);
//   if (is_directory(relative) && !target.ends_with_slash) redirect_to("/" + encoded + "/");
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "servers/http/status.hpp"

namespace procpool::http {

struct ResolvedTarget {
  Status status;                 // ok, bad_request or not_found
  bool ends_with_slash = false;  // a directory was asked for: the path ended in '/', "/." or "/.."
};

// Appends the file that the raw `path` of an origin-form or absolute-form target names, relative to
// the root: no leading or trailing '/', no empty, "." or ".." segment; "." for the root itself. So
// it cannot leave the root by its words; symbolic links are for the kernel to judge (openat2(2),
// RESOLVE_BENEATH).
//
// Segments are decoded once, each by itself, and then dot segments are removed (RFC 3986 §5.2.4;
// above the root there is nothing, so ".." stays there). Empty segments vanish first, as they do
// for the kernel. bad_request: '%' without two hex digits, a NUL. not_found: an encoded '/', which
// no file's name holds. Bytes from 0x80 on pass as they are: names of files are bytes. `out` is
// undefined unless ok.
ResolvedTarget resolve_target(std::string_view path, std::string& out);

// How the names begin that FileStore gives to what it has not finished.
inline constexpr std::string_view kUnfinished = ".procpool-";

// Whether what is at a resolved path is nobody's business: it has a segment that is unfinished, or
// one that begins with '.' where `dot_files` are not wanted. ".well-known" at its begin (RFC 8615)
// is not hidden.
bool is_hidden(std::string_view path, bool dot_files) noexcept;

// Appends `path` such that it may stand in a URI: '/' and unreserved characters (RFC 3986 §2.3)
// stay, all others become %XX.
void append_percent_encoded(std::string_view path, std::string& out);

// What percent-encoded text stands for; nullopt: a '%' without two hex digits, or a NUL.
std::optional<std::string> percent_decoded(std::string_view text);

}  // namespace procpool::http
