// The status for Prometheus, in its text format, version 0.0.4.
//
//   const std::string metrics = render_status_metrics(make_status_document(...));
#pragma once

#include <string>

#include "servers/http/detail/status_document.hpp"

namespace procpool::http {

std::string render_status_metrics(const StatusDocument& status);

}  // namespace procpool::http
