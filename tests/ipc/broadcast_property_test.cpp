// A Broadcast does what a plain list of all messages would.
#include <rapidcheck.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/broadcast.hpp"

namespace procpool::ipc {
namespace {

struct ModelReader {
  std::size_t next;
  std::size_t missed = 0;

  std::optional<int> read(const std::vector<int>& published, std::size_t capacity) {
    const std::size_t oldest = published.size() - std::min(published.size(), capacity);
    if (next < oldest) {
      missed += oldest - next;
      next = oldest;
    }
    if (next == published.size()) return std::nullopt;
    return published[next++];
  }
};

void behaves_as_its_model() {
  enum class Step { publish, read, from_now, from_oldest, other_writer, close };
  const auto capacity = *rc::gen::inRange<std::size_t>(1, 9);
  const auto steps = *rc::gen::container<std::vector<Step>>(
      rc::gen::weightedElement<Step>({{10, Step::publish},
                                      {10, Step::read},
                                      {1, Step::from_now},
                                      {1, Step::from_oldest},
                                      {1, Step::other_writer},
                                      {1, Step::close}}));

  Broadcast<int> broadcast{capacity};
  std::optional writer = broadcast.make_writer();
  std::vector<Broadcast<int>::Reader> readers;
  std::vector<int> published;
  std::vector<ModelReader> model;
  bool closed = false;
  for (const Step step : steps) {
    switch (step) {
      case Step::publish: {
        const int value = *rc::gen::arbitrary<int>();
        RC_ASSERT(writer->publish(value) == !closed);
        if (!closed) published.push_back(value);
        break;
      }
      case Step::read:
        for (std::size_t i = 0; i < readers.size(); ++i) {
          RC_ASSERT(readers[i].try_read() == model[i].read(published, capacity));
          RC_ASSERT(readers[i].missed() == model[i].missed);
          RC_ASSERT(readers[i].position() == model[i].next);
        }
        break;
      case Step::from_now:
        readers.push_back(broadcast.make_reader());
        model.push_back({.next = published.size()});
        break;
      case Step::from_oldest:
        readers.push_back(broadcast.make_reader(ReadFrom::oldest));
        model.push_back({.next = published.size() - std::min(published.size(), capacity)});
        break;
      case Step::other_writer:
        writer.reset();
        writer.emplace(broadcast.make_writer());
        break;
      case Step::close:
        broadcast.close();
        closed = true;
        break;
    }
    RC_ASSERT(broadcast.published() == published.size());
  }
}

TEST(BroadcastProperty, behaves_as_a_list_of_all_messages) {
  EXPECT_TRUE(rc::check("a broadcast is its model", behaves_as_its_model));
}

}  // namespace
}  // namespace procpool::ipc
