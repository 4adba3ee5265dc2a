// Which content coding a client likes best: RFC 9110 §12.5.3.
//
//   switch (choose_coding(request.fields, {.gzip = true, .br = false})) {
//     case Coding::gzip: ...
#pragma once

#include <string_view>

#include "servers/http/request.hpp"

namespace procpool::http {

enum class Coding { identity, gzip, br };

// What there is beside the content as it is.
struct Codings {
  bool gzip = false;
  bool br = false;
};

// The coding with the highest quality in the client's Accept-Encoding; br before gzip before
// identity when they are equal, and identity last when it is not named. A client that says nothing
// gets identity, and so does one that takes nothing of what there is: that is better than no
// answer. A quality that is none makes its coding unacceptable. Never allocates.
Coding choose_coding(const Fields& fields, Codings available) noexcept;

// "gzip", "br", or nothing for identity.
std::string_view name_of(Coding coding) noexcept;

}  // namespace procpool::http
