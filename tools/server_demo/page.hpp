// A comparison as one HTML page that needs nothing else: no script, no font, no network.
//
//   file << page_of(measured);
#pragma once

#include <string>

#include "tools/server_demo/compare_cell.hpp"

namespace procpool::server_demo {

std::string page_of(const Comparison& measured);

}  // namespace procpool::server_demo
