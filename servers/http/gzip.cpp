#include "servers/http/gzip.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>

#include "ipc/base/error.hpp"

namespace procpool::http {
namespace {

constexpr int kLevel = 5;
constexpr int kGzipFormat = 16;  // added to the window's bits, zlib.h

struct Deflate {
  Deflate() {
    if (::deflateInit2(&stream, kLevel, Z_DEFLATED, MAX_WBITS + kGzipFormat, MAX_MEM_LEVEL,
                       Z_DEFAULT_STRATEGY) != Z_OK) {
      throw Error{"deflateInit2", "", "out of memory"};
    }
  }
  Deflate(const Deflate&) = delete;
  Deflate& operator=(const Deflate&) = delete;
  ~Deflate() { ::deflateEnd(&stream); }

  z_stream stream{};
};

}  // namespace

bool is_compressible(std::string_view media_type) noexcept {
  constexpr std::array<std::string_view, 9> kOthers{"application/javascript",
                                                    "application/json",
                                                    "application/xml",
                                                    "application/wasm",
                                                    "application/rtf",
                                                    "application/vnd.ms-fontobject",
                                                    "font/ttf",
                                                    "font/otf",
                                                    "image/bmp"};
  const std::string_view type = media_type.substr(0, media_type.find(';'));
  return type.starts_with("text/") || type.ends_with("+xml") || type.ends_with("+json") ||
         std::find(kOthers.begin(), kOthers.end(), type) != kOthers.end();
}

std::string gzip(std::string_view text) {
  Deflate deflate;
  z_stream& stream = deflate.stream;
  std::string out(::deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  if (::deflate(&stream, Z_FINISH) != Z_STREAM_END) throw Error{"deflate", "", "no progress"};
  out.resize(stream.total_out);
  return out;
}

}  // namespace procpool::http
