#include "tools/ipc_demo/compare.hpp"

#include <algorithm>
#include <utility>

#include "tools/ipc_demo/links.hpp"
#include "tools/ipc_demo/queue_links.hpp"
#include "tools/table.hpp"

namespace procpool::demo {
namespace {

using Measure = double (*)(Clock::duration);

struct Mechanism {
  std::string_view name;
  bool ours;
  std::size_t family;
  std::array<Measure, kSizes.size()> one_way;  // nullptr: it cannot
  Measure round_trip;
};

// Families, in the order of their colours in the chart.
enum Family : std::size_t {
  queues,
  in_place,
  broadcasts,
  channels,
  pipes,
  fifos,
  kernel_queues,
  bare
};

template <Link L, std::size_t size>
double one_way_at(Clock::duration time) {
  return one_way<L>(size, time);
}
template <Link L>
double round_trip_of(Clock::duration time) {
  return round_trip<L>(64, time);
}

template <std::size_t most, template <std::size_t> typename LinkOf, std::size_t... i>
constexpr Mechanism make(std::string_view name, bool ours, Family family,
                         std::index_sequence<i...>) {
  return {.name = name,
          .ours = ours,
          .family = family,
          .one_way = {(kSizes[i] <= most ? one_way_at<LinkOf<kSizes[i]>, kSizes[i]> : nullptr)...},
          .round_trip = round_trip_of<LinkOf<64>>};
}

template <std::size_t>
using Channels = ChannelLink;
template <std::size_t>
using Pipes = PipeLink;
template <std::size_t>
using Fifos = FifoLink;
template <std::size_t>
using MessageQueues = MessageQueueLink;
template <std::size_t>
using Boosts = BoostLink;
template <std::size_t>
using RawPipes = RawPipeLink;
template <std::size_t>
using RawSockets = RawSocketLink;
template <std::size_t>
using RawPosixQueues = RawPosixQueueLink;
template <std::size_t>
using BareRings = BareRingLink;

constexpr bool kOurs = true;
constexpr bool kTheirs = false;
constexpr std::size_t kAny = kSizes.back();
constexpr std::make_index_sequence<kSizes.size()> kAll;

constexpr std::array kMechanisms{
    make<kAny, QueueLink>("Queue", kOurs, queues, kAll),
    make<kAny, LoanLink>("Queue, in place", kOurs, in_place, kAll),
    make<kAny, BroadcastLink>("Broadcast", kOurs, broadcasts, kAll),
    make<kAny, Channels>("Channel", kOurs, channels, kAll),
    make<kAny, Pipes>("Pipe", kOurs, pipes, kAll),
    make<kAny, Fifos>("Fifo", kOurs, fifos, kAll),
    make<MessageQueueLink::kMost, MessageQueues>("MessageQueue", kOurs, kernel_queues, kAll),
    make<kAny, Boosts>("Boost message_queue", kTheirs, queues, kAll),
    make<RawSocketLink::kMost, RawSockets>("Unix socket, SEQPACKET", kTheirs, channels, kAll),
    make<kAny, RawPipes>("pipe(2)", kTheirs, pipes, kAll),
    make<RawPosixQueueLink::kMost, RawPosixQueues>("POSIX mq", kTheirs, kernel_queues, kAll),
    make<kAny, BareRings>("bare spinning ring", kTheirs, bare, kAll),
};

Comparison measure(const Mechanism& mechanism, Clock::duration each) {
  Comparison row{.name = mechanism.name,
                 .ours = mechanism.ours,
                 .family = mechanism.family,
                 .ns_each = {},
                 .ns_round_trip = mechanism.round_trip(each)};
  for (std::size_t i = 0; i < kSizes.size(); ++i) {
    if (mechanism.one_way[i] != nullptr) row.ns_each[i] = mechanism.one_way[i](each);
  }
  return row;
}

// What else runs on the machine makes things slower, and never faster.
void keep_best(std::vector<Comparison>& rows, const Comparison& measured) {
  const auto known = std::ranges::find(rows, measured.name, &Comparison::name);
  if (known == rows.end()) {
    rows.push_back(measured);
    return;
  }
  known->ns_round_trip = std::min(known->ns_round_trip, measured.ns_round_trip);
  for (std::size_t i = 0; i < kSizes.size(); ++i) {
    if (known->ns_each[i]) known->ns_each[i] = std::min(*known->ns_each[i], *measured.ns_each[i]);
  }
}

}  // namespace

std::vector<Comparison> compare(Clock::duration time,
                                const std::function<void(std::string_view)>& tell) {
  constexpr int kRounds = 3;
  constexpr auto kMeasurements = kMechanisms.size() * (kSizes.size() + 1) * kRounds;
  const Clock::duration each = time / kMeasurements;
  std::vector<Comparison> rows;
  for (int round = 0; round < kRounds; ++round) {
    for (const Mechanism& mechanism : kMechanisms) {
      tell(mechanism.name);
      keep_best(rows, measure(mechanism, each));
    }
  }
  return rows;
}

std::string table_of(const std::vector<Comparison>& rows) {
  std::vector<Table::Column> columns{{"messages a second", Align::left}};
  for (const std::size_t size : kSizes) columns.push_back({size_text(size)});
  columns.push_back({"round trip"});
  Table table{std::move(columns)};
  for (const Comparison& row : rows) {
    std::vector<std::string> cells{std::string{row.name}};
    for (const auto& ns : row.ns_each) cells.push_back(ns ? with_prefix(1e9 / *ns) : "-");
    cells.push_back(text(fixed(row.ns_round_trip / 1000, 2), " µs"));
    table.add(std::move(cells));
  }
  return table.text();
}

}  // namespace procpool::demo
