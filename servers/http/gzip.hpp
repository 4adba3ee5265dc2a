// Contents made smaller: the gzip format, RFC 1952.
//
//   if (is_compressible(type)) std::string smaller = gzip(text);
#pragma once

#include <string>
#include <string_view>

namespace procpool::http {

// Whether contents of this media type are worth the trouble: text, and what is written like text.
// Images, archives and films are compressed already.
bool is_compressible(std::string_view media_type) noexcept;

// `text` in the gzip format: no name, no time, so that the same text gives the same bytes. Takes
// about 15 ms per MiB. Throws Error when memory is short.
std::string gzip(std::string_view text);

}  // namespace procpool::http
