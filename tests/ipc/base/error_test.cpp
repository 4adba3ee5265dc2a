#include "ipc/base/error.hpp"

#include <stdexcept>

#include <gtest/gtest.h>

namespace procpool {
namespace {

TEST(Error, says_what_was_tried_on_what_and_why_it_failed) {
  const Error error{"open", "/srv/www/x", EACCES};
  EXPECT_STREQ(error.what(), "open \"/srv/www/x\": Permission denied");
  EXPECT_EQ(error.operation(), "open");
  EXPECT_EQ(error.object(), "/srv/www/x");
  EXPECT_EQ(error.code(), std::errc::permission_denied);
}

TEST(Error, leaves_out_an_object_that_there_is_not) {
  EXPECT_STREQ((Error{"fork", "", EAGAIN}.what()), "fork: Resource temporarily unavailable");
}

TEST(Error, may_have_a_sentence_for_its_reason) {
  const Error error{"read", "procpool.toml", "line 3: unknown key"};
  EXPECT_STREQ(error.what(), "read \"procpool.toml\": line 3: unknown key");
  EXPECT_EQ(error.code(), std::errc::invalid_argument);
}

TEST(Error, is_thrown_with_the_errno_of_the_moment) {
  errno = ENOENT;
  try {
    throw_errno("open", "/no/such/file");
  } catch (const std::system_error& error) {
    EXPECT_STREQ(error.what(), "open \"/no/such/file\": No such file or directory");
    EXPECT_EQ(error.code().value(), ENOENT);
  }
}

TEST(Error, text_of_an_unknown_number_names_the_number) {
  EXPECT_NE(error_text(99999).find("99999"), std::string::npos);
}

}  // namespace
}  // namespace procpool
