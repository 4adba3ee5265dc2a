// What forms send: names and values, in a query or a body.
//
//   FormFields fields = parse_form("name=Ada+Lovelace&year=1815");
//   std::optional<std::string> name = find_field(fields, "name");    // "Ada Lovelace"
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace procpool::http {

using FormFields = std::vector<std::pair<std::string, std::string>>;  // in the order they came

// application/x-www-form-urlencoded, as the URL standard parses it (url.spec.whatwg.org, §5.1):
// never fails, a '%' that is no escape stands for itself, a name without '=' has an empty value.
FormFields parse_form(std::string_view text);

// The value of the first field of this name.
std::optional<std::string> find_field(const FormFields& fields, std::string_view name);

}  // namespace procpool::http
