// The page that a browser shows first: what is running, a picture of it, and what to try.
//
//   const std::string html = render_welcome_page(make_status_document(...));
#pragma once

#include <string>

#include "servers/http/detail/status_document.hpp"

namespace procpool::http {

std::string render_welcome_page(const StatusDocument& status);

}  // namespace procpool::http
