// A Queue does what a plain model of it does, whatever is done to it.
#include <rapidcheck.h>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/queue.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/single_step.hpp"

namespace procpool::ipc {
namespace {

// Room that was lent and abandoned is a place without a message: it is free again when all before
// it were read.
class Model {
 public:
  explicit Model(std::size_t capacity) : capacity_{capacity} {}

  bool push(std::optional<int> message) {
    if (closed || places_.size() == capacity_) return false;
    places_.push_back(message);
    skip_abandoned();
    return true;
  }
  std::optional<int> pop() {
    if (places_.empty()) return std::nullopt;
    const auto message = places_.front();
    places_.pop_front();
    skip_abandoned();
    return message;
  }

  bool closed = false;

 private:
  void skip_abandoned() {
    while (!places_.empty() && !places_.front()) places_.pop_front();
  }

  std::size_t capacity_;
  std::deque<std::optional<int>> places_;
};

std::vector<int> some_messages(int first) {
  std::vector<int> messages(*rc::gen::inRange<std::size_t>(1, 12));
  std::generate(messages.begin(), messages.end(), [&] { return first++; });
  return messages;
}

void push(Queue<int>& queue, Model& model, int next) {
  RC_ASSERT(queue.try_push(next) == model.push(next));
}
void push_batch(Queue<int>& queue, Model& model, int next) {
  const auto messages = some_messages(next);
  const std::size_t pushed = queue.try_push_batch(messages);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const bool expected = model.push(messages[i]);
    RC_ASSERT(expected == (i < pushed));
    if (!expected) break;
  }
}
void lend(Queue<int>& queue, Model& model, int next) {
  auto loan = queue.try_loan();
  RC_ASSERT(loan.has_value() == model.push(next));
  if (loan) {
    **loan = next;
    loan->commit();
  }
}
void abandon(Queue<int>& queue, Model& model, int) {
  const auto loan = queue.try_loan();
  RC_ASSERT(loan.has_value() == model.push(std::nullopt));
}
void pop(Queue<int>& queue, Model& model, int) {
  RC_ASSERT(queue.try_pop() == model.pop());
}
void pop_batch(Queue<int>& queue, Model& model, int) {
  auto messages = some_messages(0);
  messages.resize(queue.try_pop_batch(messages));
  if (messages.empty()) RC_ASSERT(model.pop() == std::nullopt);
  for (const int message : messages) RC_ASSERT(message == model.pop());
}
void borrow(Queue<int>& queue, Model& model, int) {
  const auto borrowed = queue.try_borrow();
  const auto expected = model.pop();
  RC_ASSERT(borrowed.has_value() == expected.has_value());
  if (borrowed) RC_ASSERT(**borrowed == *expected);
}
void close(Queue<int>& queue, Model& model, int) {
  queue.close();
  model.closed = true;
}

TEST(QueueProperty, is_a_bounded_deque) {
  using Operation = void (*)(Queue<int>&, Model&, int);
  EXPECT_TRUE(rc::check([] {
    const auto capacity = *rc::gen::inRange<std::size_t>(1, 20);
    const auto operations = *rc::gen::container<std::vector<Operation>>(
        rc::gen::weightedElement<Operation>({{8, push},
                                             {4, push_batch},
                                             {4, lend},
                                             {4, abandon},
                                             {8, pop},
                                             {4, pop_batch},
                                             {4, borrow},
                                             {1, close}}));
    Queue<int> queue{capacity};
    Model model{capacity};
    int next = 0;
    for (const Operation operation : operations) {
      operation(queue, model, next);
      next += 100;
      RC_ASSERT(queue.closed() == model.closed);
    }
    while (const auto rest = queue.try_pop()) RC_ASSERT(rest == model.pop());
    RC_ASSERT(model.pop() == std::nullopt);
    RC_ASSERT(queue.lost_by_producers() + queue.lost_by_consumers() == 0U);
  }));
}

// The hint where the head is stays behind when a consumer is killed before it moves it: a few
// instructions after it has claimed its message.
TEST(QueueProperty, finds_messages_before_a_place_that_was_abandoned_after_a_kill) {
  if (test::kSanitized) GTEST_SKIP() << "single steps are for the program as it is";
  constexpr std::size_t kInstructions = 30;
  std::optional<Queue<int>> queue;
  const auto start_a_victim = [&] {
    queue.emplace(QueueOptions{.capacity = 2, .processes = 2});
    queue->push(0);
    queue->pop();
    queue->push(1);
    queue->push(2);
    return test::SteppedChild{[&] { queue->pop(); }};
  };
  const auto has_claimed = [&](std::size_t instructions) {
    auto victim = start_a_victim();
    victim.step(instructions);
    victim.kill();
    static_cast<void>(queue->try_loan());  // takes the room of the dead one, and abandons it
    std::optional<int> message;
    do {
      message = queue->pop_for(test::kPatience);
    } while (message == 1);
    EXPECT_EQ(message, 2) << "killed after " << instructions << " instructions";
    return queue->lost_by_consumers() != 0;
  };
  std::size_t before = 0;
  std::size_t after = 1;
  while (!has_claimed(after)) before = std::exchange(after, after + kInstructions);
  for (std::size_t i = before; i < after + kInstructions; ++i) {
    has_claimed(i);
    if (HasFailure()) break;
  }
}

}  // namespace
}  // namespace procpool::ipc
