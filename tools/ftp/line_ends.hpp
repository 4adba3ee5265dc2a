// TYPE A: lines end with CR LF on the way, and with LF here. RFC 959 §3.1.1.1.
//
//   FromNetwork from;
//   out << from.text("one\r") << from.text("\ntwo") << from.rest();      // "one\ntwo"
#pragma once

#include <string>
#include <string_view>

namespace procpool::ftp_client {

class FromNetwork {
 public:
  std::string text(std::string_view bytes) {
    std::string out;
    out.reserve(bytes.size() + 1);
    for (const char c : bytes) {
      if (held_ && c != '\n') out.push_back('\r');
      held_ = c == '\r';
      if (!held_) out.push_back(c);
    }
    return out;
  }
  std::string rest() const { return held_ ? "\r" : ""; }

 private:
  bool held_ = false;  // a CR, of which it is not known yet what it means
};

// A line that ends with CR LF already is left alone.
class ToNetwork {
 public:
  std::string text(std::string_view bytes) {
    std::string out;
    out.reserve(bytes.size() + bytes.size() / 16);
    for (const char c : bytes) {
      if (c == '\n' && last_ != '\r') out.push_back('\r');
      out.push_back(c);
      last_ = c;
    }
    return out;
  }

 private:
  char last_ = 0;
};

}  // namespace procpool::ftp_client
