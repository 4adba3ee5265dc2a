// The name that somebody meant who wrote another one.
//
//   nearest_name("wrokers", {"workers", "root"});       // "workers"
#pragma once

#include <string_view>
#include <vector>

namespace procpool::program {

// The one that fewest changes of a letter lead to (a swap of two neighbours is one); empty when all
// are further than a third of the name.
std::string_view nearest_name(std::string_view wrong, const std::vector<std::string_view>& names);

}  // namespace procpool::program
