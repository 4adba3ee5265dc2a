#include "servers/program/detail/settings_file.hpp"

#include "ipc/base/io.hpp"
#include "servers/program/detail/nearest_name.hpp"

namespace procpool::program::detail {
namespace {

std::string place_in(const std::string& path, const toml::source_region& source) {
  return path + ":" + std::to_string(source.begin.line) + ":" + std::to_string(source.begin.column);
}

toml::table parse_file(const std::string& path, const std::optional<std::string>& text) {
  try {
    return toml::parse(text ? *text : read_file(path), path);
  } catch (const toml::parse_error& error) {
    throw OptionsError{place_in(path, error.source()), "", error.description()};
  } catch (const Error& error) {
    throw OptionsError{error};
  }
}

std::optional<Values> strings_of(const toml::array& array) {
  Values values;
  for (const toml::node& element : array) {
    if (!element.is_string()) return std::nullopt;
    values.push_back(element.as_string()->get());
  }
  return values;
}

}  // namespace

const char* expectation(Kind kind) noexcept {
  switch (kind) {
    case Kind::text:
      return "must be a string";
    case Kind::texts:
      return "must be an array of strings";
    case Kind::integer:
      return "must be an integer";
    case Kind::integer_or_text:
      return "must be an integer or a string";
    case Kind::duration:
      return "must be a number of seconds or a string";
    case Kind::toggle:
      return "must be true or false";
  }
  return "";
}

std::optional<Values> values_of(const toml::node& node, Kind kind) {
  const bool numeric = kind != Kind::text && kind != Kind::texts && kind != Kind::toggle;
  switch (node.type()) {
    case toml::node_type::string:
      if (kind == Kind::integer || kind == Kind::texts) return std::nullopt;
      return Values{node.as_string()->get()};
    case toml::node_type::integer:
      if (!numeric) return std::nullopt;
      return Values{std::to_string(node.as_integer()->get())};
    case toml::node_type::floating_point:
      if (kind != Kind::duration) return std::nullopt;
      return Values{std::to_string(node.as_floating_point()->get())};
    case toml::node_type::boolean:
      if (kind != Kind::toggle) return std::nullopt;
      return Values{node.as_boolean()->get() ? "on" : "off"};
    case toml::node_type::array:
      return kind == Kind::texts ? strings_of(*node.as_array()) : std::nullopt;
    default:
      return std::nullopt;
  }
}

SettingsFile::SettingsFile(const std::string& path, const std::optional<std::string>& text)
    : path_{path}, top_{parse_file(path, text)} {}

void SettingsFile::refuse_unknown(const toml::key& key,
                                  const std::vector<std::string_view>& known) const {
  const std::string_view meant = nearest_name(key.str(), known);
  refuse(key, key.str(),
         meant.empty() ? "unknown key" : "unknown key; is \"" + std::string{meant} + "\" meant?");
}

std::string SettingsFile::place(const toml::source_region& source) const {
  return place_in(path_, source);
}

}  // namespace procpool::program::detail
