// Which coding a client gets.
#include "servers/http/accept_encoding.hpp"

#include <ostream>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace procpool::http {

void PrintTo(Coding coding, std::ostream* out) {
  *out << (coding == Coding::identity ? "identity" : name_of(coding));
}

namespace {

constexpr Codings kBoth{.gzip = true, .br = true};

Coding choose(const std::vector<std::string_view>& values, Codings available = kBoth) {
  Fields fields;
  for (const std::string_view value : values) EXPECT_TRUE(fields.add({"accept-Encoding", value}));
  return choose_coding(fields, available);
}

TEST(AcceptEncoding, that_is_missing_or_empty_means_no_coding) {
  EXPECT_EQ(choose({}), Coding::identity);
  EXPECT_EQ(choose({""}), Coding::identity);
  EXPECT_EQ(choose({"identity"}), Coding::identity);
  EXPECT_EQ(choose({"deflate, zstd"}), Coding::identity);
}

TEST(AcceptEncoding, prefers_br_to_gzip_and_gzip_to_nothing) {
  EXPECT_EQ(choose({"gzip, deflate, br, zstd"}), Coding::br);
  EXPECT_EQ(choose({"gzip, deflate, br"}, {.gzip = true}), Coding::gzip);
  EXPECT_EQ(choose({"gzip, deflate, br"}, {.br = true}), Coding::br);
  EXPECT_EQ(choose({"gzip, deflate, br"}, {}), Coding::identity);
  EXPECT_EQ(choose({"gzip, identity"}), Coding::gzip);
  EXPECT_EQ(choose({"*"}), Coding::br);
  EXPECT_EQ(choose({"X-GZip"}), Coding::gzip);
  EXPECT_EQ(choose({"deflate", "GZIP"}), Coding::gzip);
}

TEST(AcceptEncoding, has_qualities) {
  EXPECT_EQ(choose({"br;q=0.5, gzip;q=0.6"}), Coding::gzip);
  EXPECT_EQ(choose({"br;q=0.601, gzip;q=0.6"}), Coding::br);
  EXPECT_EQ(choose({"gzip;q=0.001"}), Coding::gzip);
  EXPECT_EQ(choose({"gzip ; Q=1.000 ,br ; q=0"}), Coding::gzip);
  EXPECT_EQ(choose({"gzip;q=0, br;q=0.0"}), Coding::identity);
  EXPECT_EQ(choose({"identity;q=1, gzip;q=0.5"}), Coding::identity);
  EXPECT_EQ(choose({"identity;q=0.5, gzip;q=0.5"}), Coding::gzip);
  EXPECT_EQ(choose({"*;q=0.5, br;q=0"}), Coding::gzip);
  EXPECT_EQ(choose({"*;q=0"}), Coding::identity);
  EXPECT_EQ(choose({"identity;q=0"}, {}), Coding::identity);  // better than no answer
}

TEST(AcceptEncoding, with_a_quality_that_is_none_does_not_count) {
  for (const std::string_view value :
       {"gzip;q=", "gzip;q", "gzip;q=2", "gzip;q=1.001", "gzip;q=0.5555", "gzip;q=.5", "gzip;q=-1",
        "gzip;q=a", "gzip;x=1", "gzip;q=0.5;q=1", "gzip;q =1", "gzip br"}) {
    EXPECT_EQ(choose({value}), Coding::identity) << value;
  }
}

}  // namespace
}  // namespace procpool::http
