// A configuration file, read key by key.
//
//   SettingsFile file{"site.toml"};                  // throws OptionsError
//   for (const auto& [key, node] : file.top())
//     if (!file.take(kSettings, options, key, node)) file.refuse_unknown(key, names_of(kSettings));
//   return file.take_origins();
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "servers/program/detail/toml.hpp"
#include "servers/program/setting.hpp"

namespace procpool::program::detail {

const char* expectation(Kind kind) noexcept;

// The node's values as a flag would have them; nullopt when it is not of this kind.
std::optional<Values> values_of(const toml::node& node, Kind kind);

template <typename Target, std::size_t size>
void append_names(const Setting<Target> (&all)[size], std::vector<std::string_view>& names) {
  for (const auto& setting : all) names.emplace_back(setting.key);
}

// TOML, and where in it each value stands. What is wrong with it is thrown as an OptionsError that
// names file, line, column and key.
class SettingsFile {
 public:
  // Reads the file, unless it is given what stands in it.
  explicit SettingsFile(const std::string& path, const std::optional<std::string>& text = {});

  const toml::table& top() const noexcept { return top_; }

  // `where` is the key or its value, whichever is wrong.
  template <typename Where>
  [[noreturn]] void refuse(const Where& where, std::string_view key,
                           std::string_view reason) const {
    throw OptionsError{place(where.source()), key, reason};
  }

  // With the one of these that may be meant.
  [[noreturn]] void refuse_unknown(const toml::key& key,
                                   const std::vector<std::string_view>& known) const;

  // False: it is none of these. `prefix` is of the key in the origins.
  template <typename Target, std::size_t size>
  bool take(const Setting<Target> (&all)[size], Target& target, const toml::key& key,
            const toml::node& node, const std::string& prefix = {}) {
    const auto* const setting = find_setting(all, key.str());
    if (setting == nullptr) return false;
    const auto values = values_of(node, setting->kind);
    const std::string reason = values ? setting->set(target, *values) : expectation(setting->kind);
    if (!reason.empty()) refuse(node, key.str(), reason);
    origins_.emplace(prefix + std::string{key.str()}, place(node.source()));
    return true;
  }

  // Of an array of tables; the first one's prefix in the origins is "host.0.".
  template <typename Function>
  void for_each_table(const toml::table& parent, std::string_view key, Function function,
                      const std::string& prefix = {}) {
    const auto found = parent.find(key);
    if (found == parent.end()) return;
    const toml::array* const tables = found->second.as_array();
    if (tables == nullptr || !tables->is_array_of_tables())
      refuse(found->first, key, "must be tables, as [[" + std::string{key} + "]]");
    for (std::size_t i = 0; i < tables->size(); ++i) {
      const toml::table& table = *(*tables)[i].as_table();
      const std::string its = prefix + std::string{key} + "." + std::to_string(i) + ".";
      origins_.emplace(its, place(table.source()));
      function(table, its);
    }
  }

  Origins take_origins() { return std::move(origins_); }

 private:
  std::string place(const toml::source_region& source) const;

  std::string path_;
  toml::table top_;
  Origins origins_;
};

}  // namespace procpool::program::detail
