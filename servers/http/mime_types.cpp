#include "servers/http/mime_types.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <optional>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "servers/http/detail/grammar.hpp"

namespace procpool::http {
namespace {

constexpr std::string_view kDefault = "application/octet-stream";
constexpr std::size_t kLongestExtension = 32;

struct BuiltIn {
  std::string_view extension;
  std::string_view type;
};

constexpr BuiltIn kBuiltIn[] = {
    {"avif", "image/avif"},       {"bmp", "image/bmp"},         {"css", "text/css"},
    {"csv", "text/csv"},          {"gif", "image/gif"},         {"gz", "application/gzip"},
    {"htm", "text/html"},         {"html", "text/html"},        {"ico", "image/vnd.microsoft.icon"},
    {"jpeg", "image/jpeg"},       {"jpg", "image/jpeg"},        {"js", "text/javascript"},
    {"json", "application/json"}, {"md", "text/markdown"},      {"mjs", "text/javascript"},
    {"mp3", "audio/mpeg"},        {"mp4", "video/mp4"},         {"ogg", "audio/ogg"},
    {"otf", "font/otf"},          {"pdf", "application/pdf"},   {"png", "image/png"},
    {"svg", "image/svg+xml"},     {"tar", "application/x-tar"}, {"ttf", "font/ttf"},
    {"txt", "text/plain"},        {"wasm", "application/wasm"}, {"wav", "audio/wav"},
    {"webm", "video/webm"},       {"webp", "image/webp"},       {"woff", "font/woff"},
    {"woff2", "font/woff2"},      {"xml", "application/xml"},   {"zip", "application/zip"},
};

std::string_view extension_of(std::string_view path) noexcept {
  path.remove_prefix(path.rfind('/') + 1);  // npos + 1 is 0
  const auto dot = path.rfind('.');
  return dot == path.npos ? std::string_view{} : path.substr(dot + 1);
}

// Takes one line off `text`, without what ends it and without a comment.
std::string_view next_line(std::string_view& text) noexcept {
  const auto end = std::min(text.find('\n'), text.size());
  const auto line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line.substr(0, line.find('#'));
}

// Takes one word off `line`; empty when there is none left.
std::string_view next_word(std::string_view& line) noexcept {
  constexpr std::string_view kSpaces = " \t\r";
  line.remove_prefix(std::min(line.find_first_not_of(kSpaces), line.size()));
  const auto word = line.substr(0, line.find_first_of(kSpaces));
  line.remove_prefix(word.size());
  return word;
}

std::optional<std::string> read_if_exists(const std::string& path) {
  try {
    return read_file(path);
  } catch (const Error& error) {
    if (error.code() == std::errc::no_such_file_or_directory) return std::nullopt;
    throw;
  }
}

}  // namespace

MimeTypes::Table MimeTypes::built_in_table() {
  Table table;
  for (const auto& [extension, type] : kBuiltIn) add(table, extension, type);
  return table;
}

MimeTypes MimeTypes::built_in() {
  return MimeTypes{built_in_table()};
}

MimeTypes MimeTypes::load(const std::string& path) {
  Table table = built_in_table();
  const auto text = read_if_exists(path);
  std::string_view rest = text ? *text : std::string_view{};
  while (!rest.empty()) {
    std::string_view line = next_line(rest);
    const auto type = next_word(line);
    for (auto word = next_word(line); !word.empty(); word = next_word(line)) add(table, word, type);
  }
  return MimeTypes{std::move(table)};
}

void MimeTypes::add(Table& table, std::string_view extension, std::string_view type) {
  std::string key{extension};
  std::transform(key.begin(), key.end(), key.begin(), to_lower);
  std::string& value = table[std::move(key)];
  value = type;
  if (type.starts_with("text/")) value.append("; charset=utf-8");
}

std::string_view MimeTypes::of(std::string_view path) const noexcept {
  const auto extension = extension_of(path);
  std::array<char, kLongestExtension> small;
  if (extension.size() > small.size()) return kDefault;
  std::transform(extension.begin(), extension.end(), small.begin(), to_lower);
  const auto found = table_->find(std::string_view{small.data(), extension.size()});
  return found == table_->end() ? kDefault : std::string_view{found->second};
}

MimeTypesFile::Version MimeTypesFile::version() const {
  struct stat facts{};
  if (::stat(path_.c_str(), &facts) != 0) return {};
  constexpr std::int64_t kNanoseconds = 1'000'000'000;
  return {.device = facts.st_dev,
          .number = facts.st_ino,
          .size = facts.st_size,
          .changed = facts.st_ctim.tv_sec * kNanoseconds + facts.st_ctim.tv_nsec};
}

MimeTypes MimeTypesFile::current() {
  const Version now = version();
  if (!types_ || now != read_) {
    types_ = MimeTypes::load(path_);
    read_ = now;
  }
  return *types_;
}

}  // namespace procpool::http
