#include "ipc/codec_cereal.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <cereal/types/map.hpp>
#include <cereal/types/memory.hpp>
#include <cereal/types/optional.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/utility.hpp>
#include <cereal/types/vector.hpp>
#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/queue.hpp"
#include "tests/support/forked.hpp"

namespace procpool::ipc {
namespace {

using test::exited;
using test::Forked;

using Bytes = std::vector<std::byte>;

struct Job {
  std::string name;
  std::vector<std::string> arguments;
  std::map<std::string, std::optional<double>> limits;
  bool urgent = false;

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(name, arguments, limits, urgent);
  }
  friend bool operator==(const Job&, const Job&) = default;
};

struct Link {
  std::unique_ptr<Link> next;

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(next);
  }
};

static_assert(Encodable<Job>);
static_assert(Encodable<int>);
static_assert(!CerealSerializable<int>, "copies its bytes");

Job a_job() {
  return {.name = "index",
          .arguments = {"-v", "", "a longer one that needs memory of its own"},
          .limits = {{"cpu", 0.5}, {"memory", std::nullopt}},
          .urgent = true};
}

template <typename T>
Bytes encoded(const T& value) {
  Bytes bytes;
  Codec<T>::encode(value, bytes);
  return bytes;
}

TEST(CodecCereal, gives_back_what_it_was_given) {
  EXPECT_EQ(Codec<Job>::decode(encoded(a_job())), a_job());
  EXPECT_EQ(Codec<Job>::decode(encoded(Job{})), Job{});
}

TEST(CodecCereal, appends) {
  Bytes bytes{std::byte{7}};
  Codec<Job>::encode(a_job(), bytes);
  EXPECT_EQ(bytes.front(), std::byte{7});
  EXPECT_EQ(Codec<Job>::decode(std::span{bytes}.subspan(1)), a_job());
}

TEST(CodecCereal, refuses_what_is_too_short_or_too_long) {
  Bytes bytes = encoded(a_job());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THROW(Codec<Job>::decode(std::span{bytes}.first(size)), Error) << size;
  }
  bytes.push_back(std::byte{});
  EXPECT_THROW(Codec<Job>::decode(bytes), Error);
}

TEST(CodecCereal, makes_no_room_for_more_than_there_is) {
  for (const std::uint64_t size :
       {std::uint64_t{9}, std::uint64_t{1} << 33U, std::numeric_limits<std::uint64_t>::max()}) {
    Bytes bytes = encoded(size);
    bytes.resize(16);
    EXPECT_THROW(Codec<Job>::decode(bytes), Error) << size;
    EXPECT_THROW(Codec<std::vector<std::string>>::decode(bytes), Error) << size;
  }
}

TEST(CodecCereal, refuses_a_bool_that_is_none) {
  Bytes bytes = encoded(a_job());
  bytes.back() = std::byte{2};
  EXPECT_THROW(Codec<Job>::decode(bytes), Error);
}

TEST(CodecCereal, does_not_follow_a_chain_to_the_end_of_its_stack) {
  EXPECT_THROW(Codec<Link>::decode(Bytes(10'000'000, std::byte{1})), Error);
  Link first;
  first.next = std::make_unique<Link>();
  EXPECT_TRUE(Codec<Link>::decode(encoded(first)).next);
}

TEST(CodecCereal, gives_out_no_object_as_one_of_another_type) {
  using Pair = std::pair<std::shared_ptr<std::string>, std::shared_ptr<std::vector<int>>>;
  const auto text = std::make_shared<std::string>("text");
  EXPECT_EQ(*Codec<Pair>::decode(encoded(Pair{text, nullptr})).first, "text");
  using Twice = std::pair<std::shared_ptr<std::string>, std::shared_ptr<std::string>>;
  EXPECT_THROW(Codec<Pair>::decode(encoded(Twice{text, text})), Error);
}

TEST(CodecCereal, goes_through_a_queue) {
  Queue<Job> jobs{16};
  Forked worker{[&] { return jobs.pop() == a_job() ? 0 : 1; }};
  jobs.push(a_job());
  EXPECT_EQ(worker.wait(), exited(0));
}

}  // namespace
}  // namespace procpool::ipc
