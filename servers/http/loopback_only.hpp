// A site that only programs and people of this machine may see.
//
//   Site site = make_loopback_only(make_built_in_site(worker.board()));
#pragma once

#include <string_view>

#include "servers/http/site.hpp"

namespace procpool::http {

// 403 for whoever does not come by the loopback interface or a Unix socket; what a proxy before
// this server says of its clients is not believed. `inner` answers with pages at once.
Site make_loopback_only(Site inner);

// An address as Exchange::client has it.
bool is_loopback(std::string_view client) noexcept;

}  // namespace procpool::http
