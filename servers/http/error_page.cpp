#include "servers/http/error_page.hpp"

#include "servers/http/html.hpp"

namespace procpool::http {

void append_error_page(Status status, std::string& out, std::string_view detail) {
  const std::string title =
      std::to_string(static_cast<int>(status)).append(" ").append(reason_phrase(status));
  out.append("<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>")
      .append(title)
      .append("</title></head>\n<body>\n<h1>")
      .append(title)
      .append("</h1>\n");
  if (!detail.empty()) {
    out.append("<p>");
    append_escaped_html(detail, out);
    out.append("</p>\n");
  }
  out.append("</body>\n</html>\n");
}

}  // namespace procpool::http
