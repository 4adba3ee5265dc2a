// A number that nobody can guess.
//
//   const unsigned port = first + random_number() % count;
#pragma once

namespace procpool::ftp::detail {

unsigned random_number();  // throws Error: there is no getrandom(2)

}  // namespace procpool::ftp::detail
