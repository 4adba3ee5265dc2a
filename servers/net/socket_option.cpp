#include "servers/net/socket_option.hpp"

#include "ipc/base/error.hpp"

namespace procpool::net::detail {

void set_raw_option(int socket, int level, int number, std::string_view name, const void* value,
                    socklen_t size) {
  if (::setsockopt(socket, level, number, value, size) < 0) throw_errno("setsockopt", name);
}

void get_raw_option(int socket, int level, int number, std::string_view name, void* value,
                    socklen_t size) {
  if (::getsockopt(socket, level, number, value, &size) < 0) throw_errno("getsockopt", name);
}

}  // namespace procpool::net::detail
