// The page that shows the master, its workers and what each is doing.
//
//   const std::string html = render_status_page(make_status_document(...));
#pragma once

#include <string>

#include "servers/http/detail/status_document.hpp"

namespace procpool::http {

std::string render_status_page(const StatusDocument& status);

}  // namespace procpool::http
