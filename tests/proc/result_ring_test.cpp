#include "proc/detail/result_ring.hpp"

#include <array>
#include <cstddef>
#include <cstring>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace procpool::proc::detail {
namespace {

constexpr std::size_t kSize = std::size_t{1} << 20;

struct Ring {
  RingPositions positions;
  std::vector<std::byte> memory = std::vector<std::byte>(kSize);
  RingWriter writer{positions, memory};
  RingReader reader{positions, memory};

  bool write(std::size_t size, std::byte content) {
    std::byte* const place = writer.reserve(size);
    if (place == nullptr) return false;
    std::memset(place, static_cast<int>(content), size);
    writer.publish(FrameKind::value, 0);
    return true;
  }
  void expect_next(std::size_t size, std::byte content) {
    const auto frame = reader.next();
    ASSERT_TRUE(frame);
    ASSERT_EQ(frame->content.size(), size);
    for (const std::byte byte : frame->content) ASSERT_EQ(byte, content);
  }
};

TEST(ResultRing, has_room_for_any_frame_once_everything_has_been_read) {
  const std::size_t most = Ring{}.writer.most();
  const std::array<std::size_t, 8> sizes{0, 1, 1000, 65'520, 70'000, most / 2, most - 1, most};
  for (const std::size_t first : sizes) {
    for (const std::size_t second : sizes) {
      Ring ring;
      ASSERT_TRUE(ring.write(first, std::byte{1}));
      ring.expect_next(first, std::byte{1});
      ring.reader.release();
      ASSERT_TRUE(ring.write(second, std::byte{2})) << second << " after " << first;
      ring.expect_next(second, std::byte{2});
    }
  }
}

TEST(ResultRing, gives_back_what_was_written_whatever_its_sizes) {
  std::mt19937 random{7};
  Ring ring;
  struct Written {
    std::size_t size;
    std::byte content;
  };
  std::vector<Written> unread;
  for (unsigned i = 0; i < 3000; ++i) {
    const std::size_t size = random() % (random() % 2 == 0 ? 100 : ring.writer.most() + 1);
    const auto content = static_cast<std::byte>(i);
    const bool written = ring.write(size, content);
    ASSERT_TRUE(written || !unread.empty()) << "no room for " << size << " in an empty ring";
    if (written) unread.push_back({size, content});
    if (written && random() % 3 != 0) continue;
    for (const Written& next : unread) ring.expect_next(next.size, next.content);
    unread.clear();
    ring.reader.release();
    ASSERT_FALSE(ring.reader.next());
  }
}

}  // namespace
}  // namespace procpool::proc::detail
