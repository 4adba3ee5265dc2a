// A short text in shared memory that one process writes and others read while it changes.
//
//   SharedText<120> doing;                    // inside a shared segment
//   doing.set("GET /index.html");             // its one writer
//   doing.get();                              // any process, at any time
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace procpool::proc {

// At most Size bytes; what is longer is cut. One writer at a time, any number of readers, no lock:
// a sequence number that is odd while the text changes tells readers to look again. A writer that
// is killed half-way leaves it odd for ever: readers then take the text as it stands, after a
// bounded number of tries. So nobody ever waits for anybody.
template <std::size_t Size>
class SharedText {
  static_assert(Size % sizeof(std::uint64_t) == 0);

 public:
  void set(std::string_view text) noexcept {
    const std::uint32_t before = sequence_.load(std::memory_order_relaxed) & ~1U;
    sequence_.store(before + 1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    const std::size_t length = std::min(text.size(), Size);
    length_.store(static_cast<std::uint32_t>(length), std::memory_order_relaxed);
    for (std::size_t done = 0; done < length; done += sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, text.data() + done, std::min(sizeof word, length - done));
      words_[done / sizeof word].store(word, std::memory_order_relaxed);
    }
    sequence_.store(before + 2, std::memory_order_release);
  }

  std::string get() const {
    std::string text;
    for (int tries = 0; tries < kTries; ++tries) {
      const std::uint32_t before = sequence_.load(std::memory_order_acquire);
      copy_to(text);
      std::atomic_thread_fence(std::memory_order_acquire);
      if (before % 2 == 0 && before == sequence_.load(std::memory_order_relaxed)) break;
    }
    return text;
  }

 private:
  static constexpr int kTries = 100;

  void copy_to(std::string& text) const {
    std::array<std::uint64_t, Size / sizeof(std::uint64_t)> words;
    for (std::size_t i = 0; i < words.size(); ++i)
      words[i] = words_[i].load(std::memory_order_relaxed);
    const std::size_t length = std::min<std::size_t>(length_.load(std::memory_order_relaxed), Size);
    text.assign(reinterpret_cast<const char*>(words.data()), length);
  }

  std::atomic<std::uint32_t> sequence_{0};
  std::atomic<std::uint32_t> length_{0};
  std::array<std::atomic<std::uint64_t>, Size / sizeof(std::uint64_t)> words_{};
};

}  // namespace procpool::proc
