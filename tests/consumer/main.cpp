// A program as a user of the libraries writes it, with both ways to name a header.
#include <cstdio>

#include <procpool/ipc/base/unique_fd.hpp>

#include "ipc/base/error.hpp"

int main() {
  const procpool::UniqueFd none;
  try {
    procpool::throw_errno("open", "/nowhere", ENOENT);
  } catch (const procpool::Error& error) {
    std::puts(error.what());
  }
  return none.valid() ? 1 : 0;
}
