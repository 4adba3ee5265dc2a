// Passwords, kept as the hashes of crypt(5).
//
//   const std::string hash = hash_password("open sesame");
//   if (is_password(given, hash)) let_in();
#pragma once

#include <optional>
#include <string>

namespace procpool::models {

// `password` under a fresh salt, by the method that crypt_gensalt(3) prefers. Throws Error.
std::string hash_password(const std::string& password);

// crypt(3) knows its method.
bool is_password_hash(const std::string& hash);

// Takes milliseconds, by intent of the hash; nullopt (nobody has this name) takes as long as a hash
// of hash_password(), and is never true. In a time that does not tell where they differ.
bool is_password(const std::string& given, const std::optional<std::string>& hash);

}  // namespace procpool::models
