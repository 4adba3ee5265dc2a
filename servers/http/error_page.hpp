// The page that explains a status to a human.
//
//   append_error_page(Status::not_found, out);
//   append_error_page(Status::forbidden, out, "Directories are not listed.");
#pragma once

#include <string>
#include <string_view>

#include "servers/http/status.hpp"

namespace procpool::http {

// Appends a small complete HTML document (UTF-8). `detail` is a sentence for the reader, shown
// escaped.
void append_error_page(Status status, std::string& out, std::string_view detail = {});

}  // namespace procpool::http
