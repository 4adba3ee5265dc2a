#include "servers/models/password.hpp"

#include <crypt.h>

#include <array>
#include <memory>
#include <string_view>

#include "ipc/base/error.hpp"

namespace procpool::models {
namespace {

// Empty: crypt(3) does not know this method.
std::string crypt_with(const std::string& password, const std::string& setting) {
  const auto data = std::make_unique<crypt_data>();
  const char* const hash = ::crypt_r(password.c_str(), setting.c_str(), data.get());
  return hash == nullptr || hash[0] == '*' ? std::string{} : std::string{hash};
}

std::string fresh_setting() {
  std::array<char, CRYPT_GENSALT_OUTPUT_SIZE> setting;
  if (::crypt_gensalt_rn(nullptr, 0, nullptr, 0, setting.data(),
                         static_cast<int>(setting.size())) == nullptr) {
    throw_errno("crypt_gensalt");
  }
  return setting.data();
}

// Hashed when there is nobody: by the method that those who are there have from hash_password().
const std::string& setting_of_nobody() {
  static const std::string setting = fresh_setting();
  return setting;
}

bool equal(std::string_view left, std::string_view right) noexcept {
  if (left.size() != right.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < left.size(); ++i)
    difference |= static_cast<unsigned char>(left[i] ^ right[i]);
  return difference == 0;
}

}  // namespace

std::string hash_password(const std::string& password) {
  std::string hash = crypt_with(password, fresh_setting());
  if (hash.empty()) throw_errno("crypt");
  return hash;
}

bool is_password_hash(const std::string& hash) {
  const int known = ::crypt_checksalt(hash.c_str());
  return known != CRYPT_SALT_INVALID && known != CRYPT_SALT_METHOD_DISABLED;
}

bool is_password(const std::string& given, const std::optional<std::string>& hash) {
  const std::string found = crypt_with(given, hash ? *hash : setting_of_nobody());
  return hash && !found.empty() && equal(found, *hash);
}

}  // namespace procpool::models
