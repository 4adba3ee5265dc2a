// Text inside HTML.
//
//   append_escaped_html("a < b", out);       // a &lt; b
#pragma once

#include <string>
#include <string_view>

namespace procpool::http {

// Appends `text` such that it stands for itself between tags and inside quoted attributes.
void append_escaped_html(std::string_view text, std::string& out);

}  // namespace procpool::http
