#include "proc/supervisor_status.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "ipc/base/error.hpp"
#include "ipc/base/owner.hpp"

namespace procpool::proc {
namespace {

using detail::StatusSegment;

struct Header {
  std::int32_t generation;
  std::int32_t gave_up;
  std::uint64_t total;
};
static_assert(sizeof(Header) == StatusSegment::kHeader);

struct Row {
  std::array<char, 64> name;  // ends with a zero byte
  std::int32_t pid;
  std::int32_t slot;
  std::int32_t generation;
  std::int32_t state;
  std::int32_t restarts;
  std::int32_t unused;
  std::int64_t since;
};
static_assert(sizeof(Row) == StatusSegment::kRow);

template <typename Part>
void append(std::string& text, const Part& part) {
  text.append(reinterpret_cast<const char*>(&part), sizeof part);
}

Row encode(const ShownChild& child) {
  Row row{.name = {},
          .pid = child.pid,
          .slot = child.slot,
          .generation = child.generation,
          .state = static_cast<std::int32_t>(child.state),
          .restarts = child.restarts,
          .unused = 0,
          .since = child.since};
  child.name.copy(row.name.data(), row.name.size() - 1);
  return row;
}

ShownChild decode(const Row& row) {
  constexpr auto kLast = static_cast<std::int32_t>(ChildState::ended);
  return {.name = {row.name.data(), ::strnlen(row.name.data(), row.name.size())},
          .pid = row.pid,
          .slot = row.slot,
          .generation = row.generation,
          .state = static_cast<ChildState>(std::clamp(row.state, 0, kLast)),
          .restarts = row.restarts,
          .since = row.since};
}

// Also of one that no longer is, and whose segment somebody else still has open.
bool is_dead(Owner writer) {
  return writer.word() == 0 || writer.process_is_dead();
}

}  // namespace

std::string_view name_of(ChildState state) noexcept {
  constexpr std::array<std::string_view, 7> kNames{
      "idle", "starting", "running", "stop pending", "stopping", "backing off", "ended"};
  return kNames[static_cast<std::size_t>(state)];
}

std::optional<SupervisorStatus> read_supervisor_status(const std::string& name) {
  const auto segment = ipc::Shared<StatusSegment>::open(name);
  const Owner writer{segment->writer.load()};
  if (is_dead(writer)) return std::nullopt;
  const std::string text = segment->text.get();
  if (text.size() < sizeof(Header)) return std::nullopt;

  Header header;
  std::memcpy(&header, text.data(), sizeof header);
  SupervisorStatus status{.supervisor = writer.id(),
                          .generation = header.generation,
                          .gave_up = header.gave_up != 0,
                          .total = header.total,
                          .children = {}};
  for (std::size_t at = sizeof header; at + sizeof(Row) <= text.size(); at += sizeof(Row)) {
    Row row;
    std::memcpy(&row, text.data() + at, sizeof row);
    status.children.push_back(decode(row));
  }
  return status;
}

SupervisorStatusWriter::SupervisorStatusWriter(const std::string& name)
    : segment_{ipc::Shared<detail::StatusSegment>::open(name)} {
  std::uint64_t writer = segment_->writer.load();
  const std::uint64_t ours = Owner::this_process().word();
  do {
    if (!is_dead(Owner{writer})) {
      throw Error{"show the status", name,
                  "process " + std::to_string(Owner{writer}.id()) + " shows its own there"};
    }
  } while (!segment_->writer.compare_exchange_strong(writer, ours));
}

SupervisorStatusWriter::~SupervisorStatusWriter() {
  segment_->text.set({});
  segment_->writer.store(0);
}

void SupervisorStatusWriter::show(const SupervisorStatus& status) {
  std::string text;
  append(text, Header{.generation = status.generation,
                      .gave_up = status.gave_up ? 1 : 0,
                      .total = status.total});
  for (const ShownChild& child : status.children) append(text, encode(child));
  if (text == shown_) return;
  segment_->text.set(text);
  shown_ = std::move(text);
}

}  // namespace procpool::proc
