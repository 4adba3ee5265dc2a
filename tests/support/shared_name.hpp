// Names for shared memory that no other test uses.
//
//   auto first = ipc::Shared<Counters>::open(shared_name("counters"));
#pragma once

#include <string>
#include <string_view>

namespace procpool::test {

// The same name for the same word within one test, also in its children; another one in every other
// test program that runs meanwhile. What is left of it in /dev/shm fails the test.
std::string shared_name(std::string_view word);

// What every such name holds, and nothing else does.
std::string shared_name_mark();

}  // namespace procpool::test
