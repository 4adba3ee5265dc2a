// The containers of a SharedHeap do what the standard's do, in a heap that may be full.
#include <rapidcheck.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <new>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/shared_heap.hpp"

namespace procpool::ipc {
namespace {

constexpr std::size_t kSmall = 16 * 1024;
constexpr std::size_t kLarge = 4 * 1024 * 1024;

std::string text() {
  return std::string(*rc::gen::inRange<std::size_t>(0, 600), *rc::gen::inRange('a', 'z'));
}

// Whatever a full heap refuses, the model does not do either.
template <typename Change>
bool has_room_for(Change change) {
  try {
    change();
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

template <typename Container, typename Model>
bool same_pairs(const Container& container, const Model& model) {
  return container.size() == model.size() && std::ranges::all_of(container, [&](const auto& pair) {
           const auto found = model.find(std::string{std::string_view{pair.first}});
           return found != model.end() && found->second == std::string_view{pair.second};
         });
}

// Through two mappings of one heap in turn, so nothing may point to an address.
struct TwoViews {
  explicit TwoViews(std::size_t maximum)
      : first{maximum}, second{SharedHeap::attach(UniqueFd{::dup(first.fd())}, maximum)} {}
  HeapAccess lock() { return (++turn % 2 == 0 ? first : second).lock(); }

  SharedHeap first;
  SharedHeap second;
  std::size_t turn = 0;
};

template <template <typename, typename> typename Map, typename Model>
void map_behaves_as_its_model() {
  TwoViews heap{*rc::gen::element(kSmall, kLarge)};
  Model model;
  const auto steps = *rc::gen::inRange(0, 150);
  for (int i = 0; i < steps; ++i) {
    HeapAccess access = heap.lock();
    auto& map = access.find_or_construct<Map<heap::string, heap::string>>("map");
    const std::string key(*rc::gen::inRange<std::size_t>(0, 40), 'k');
    switch (*rc::gen::inRange(0, 8)) {
      case 0:
        RC_ASSERT(map.erase(heap::string{key, access.allocator()}) == model.erase(key));
        break;
      case 1:
        if (*rc::gen::inRange(0, 10) == 0) {
          map.clear();
          model.clear();
        }
        break;
      case 2: {
        const std::string value = text();
        const auto found = map.find(std::string_view{key});
        RC_ASSERT((found != map.end()) == model.contains(key));
        if (found != map.end() && has_room_for([&] { found->second = value; })) model[key] = value;
        break;
      }
      default: {
        const std::string value = text();
        bool added = false;
        if (has_room_for([&] { added = map.emplace(key, value).second; })) {
          RC_ASSERT(added == model.emplace(key, value).second);
        }
        break;
      }
    }
    RC_ASSERT(same_pairs(map, model));
  }
}

void vector_behaves_as_its_model() {
  TwoViews heap{*rc::gen::element(kSmall, kLarge)};
  std::vector<std::string> model;
  const auto steps = *rc::gen::inRange(0, 150);
  for (int i = 0; i < steps; ++i) {
    HeapAccess access = heap.lock();
    auto& vector = access.vector<heap::string>("vector");
    const auto at = *rc::gen::inRange<std::size_t>(0, model.size() + 1);
    const auto offset = static_cast<std::ptrdiff_t>(at);
    const std::string value = text();
    switch (*rc::gen::inRange(0, 4)) {
      case 0:
        if (at < model.size()) {
          vector.erase(vector.begin() + offset);
          model.erase(model.begin() + offset);
        }
        break;
      case 1:
        if (at < model.size() && has_room_for([&] { vector[at] = value; })) model[at] = value;
        break;
      default:
        // The text first: Boost's vector promises less than the standard's to an element that fails
        // to be made in the middle of a move.
        if (has_room_for(
                [&] { vector.push_back(heap::string{value.c_str(), access.allocator()}); })) {
          model.push_back(value);
        }
        break;
    }
    RC_ASSERT(std::ranges::equal(vector, model, [](const auto& ours, const auto& theirs) {
      return std::string_view{ours} == theirs;
    }));
  }
}

TEST(SharedHeapProperty, map_behaves_as_the_standards) {
  EXPECT_TRUE(rc::check("heap::map is std::map",
                        map_behaves_as_its_model<heap::map, std::map<std::string, std::string>>));
}

TEST(SharedHeapProperty, unordered_map_behaves_as_the_standards) {
  EXPECT_TRUE(rc::check(
      "heap::unordered_map is std::unordered_map",
      map_behaves_as_its_model<heap::unordered_map, std::unordered_map<std::string, std::string>>));
}

TEST(SharedHeapProperty, vector_behaves_as_the_standards) {
  EXPECT_TRUE(rc::check("heap::vector is std::vector", vector_behaves_as_its_model));
}

}  // namespace
}  // namespace procpool::ipc
