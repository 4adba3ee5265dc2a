// AcceptStrategy::pass: the master accepts, and sends each connection to one worker over a channel
// of that worker's own. Until the worker says that it has it, the master keeps a copy: it goes to
// another worker if this one dies before. Nothing of a connection is read here.
#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <utility>
#include <variant>

#include "ipc/base/deadline.hpp"
#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "servers/models/detail/distributor.hpp"

namespace procpool::models::detail {
namespace {

using namespace std::chrono_literals;

// Sent to one worker and not yet received: so many wait for one that is slow, while others may be
// quick.
constexpr std::size_t kMostUnreceived = 16;

// A shortage of descriptors or memory ends without an event that could be waited for.
constexpr auto kPauseWhenShort = 100ms;

// Taken at one wake-up; workers that end, and signals, come in between.
constexpr std::size_t kAcceptAtOnce = 8;

constexpr std::array kNote{std::byte{'c'}};

// The way to one worker.
struct Lane {
  ipc::ChannelPair channel = ipc::make_channel();
  UniqueFd received{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};  // the worker counts
  std::deque<UniqueFd> unreceived{};                            // copies, in the order of sending
};

class PassAcceptor final : public Acceptor {
 public:
  PassAcceptor(Lane& lane, Loop& loop, Intake& intake)
      : lane_{lane}, loop_{loop}, intake_{intake} {}

  void open() override {
    watch_.reset();
    watch_ = std::make_unique<Loop::Watch>(loop_, lane_.channel.right.fd(), Interest::read,
                                           [this](const Readiness&) { take(); });
  }
  void close() override { watch_.reset(); }

  // What the master sends before it knows comes here and nowhere else.
  void drain() override {
    draining_ = true;
    open();
    take();
  }

 private:
  // Received ones are this worker's from the moment when it says so, and not before: the master
  // gives its copies to another if this process ends here.
  void take() {
    std::vector<UniqueFd> sockets;
    for (auto left = draining_ ? SIZE_MAX : intake_.at_once(); left > 0; --left) {
      auto socket = intake_.receive(lane_.channel.right);
      if (!socket) break;
      sockets.push_back(std::move(*socket));
    }
    if (sockets.empty()) return leave_if_closed();
    ::eventfd_write(lane_.received.fd(), sockets.size());
    for (UniqueFd& socket : sockets) {
      if (socket.valid()) intake_.begin(std::move(socket));
    }
  }

  // The master executes another program, which has workers of its own.
  void leave_if_closed() {
    if ((wait_ready(lane_.channel.right.fd(), POLLIN, Deadline::now()) & POLLHUP) != 0) close();
  }

  Lane& lane_;
  Loop& loop_;
  Intake& intake_;
  std::unique_ptr<Loop::Watch> watch_;
  bool draining_ = false;
};

class PassDistributor final : public Distributor {
 public:
  explicit PassDistributor(DistributorParts parts)
      : parts_{parts}, look_again_{parts.loop, [this] { go_on(); }} {}

  std::vector<int> equip(int slot) override {
    Way& way = ways_[slot];
    if (!way.lane.received.valid()) throw_errno("eventfd");
    way.watch = std::make_unique<Loop::Watch>(parts_.loop, way.lane.received.fd(), Interest::read,
                                              [this, &way](const Readiness&) {
                                                drop_received(way.lane);
                                                go_on();
                                              });
    return {way.lane.channel.right.fd(), way.lane.received.fd()};
  }

  std::unique_ptr<Acceptor> make_acceptor(int slot, const Doors&, Loop& loop,
                                          Intake& intake) override {
    return std::make_unique<PassAcceptor>(ways_.at(slot).lane, loop, intake);
  }

  bool serve_with(const std::vector<int>& slots, const Doors& doors) override {
    if (slots == slots_ && doors == doors_) return false;
    slots_ = slots;
    doors_ = doors;
    watches_.clear();
    go_on();
    return false;
  }

  void forget(int slot) override {
    const auto way = ways_.find(slot);
    if (way == ways_.end()) return;
    drop_received(way->second.lane);
    for (UniqueFd& socket : way->second.lane.unreceived) waiting_.push_back(std::move(socket));
    ways_.erase(way);
    std::erase(slots_, slot);
    go_on();
  }

  // What nobody was sent goes to whoever takes it first. A copy that is dropped before the worker
  // has its own is missed if that worker dies.
  bool let_go(Deadline deadline) override {
    serve_with({}, {});
    for (auto& [slot, way] : ways_) {
      Lane& lane = way.lane;
      while (!lane.unreceived.empty()) {
        if (wait_ready(lane.received.fd(), POLLIN, deadline) == 0) return false;
        drop_received(lane);
      }
    }
    return waiting_.empty();
  }

  void stop() override {
    watches_.clear();
    stopping_ = true;
    go_on();
  }

 private:
  struct Way {
    Lane lane{};
    std::unique_ptr<Loop::Watch> watch{};  // goes before what it watches
  };

  // Whatever a worker has written there: at most what it was sent.
  static void drop_received(Lane& lane) {
    eventfd_t count = 0;
    if (::eventfd_read(lane.received.fd(), &count) < 0) return;
    const auto dropped = std::min<std::uint64_t>(count, lane.unreceived.size());
    lane.unreceived.erase(lane.unreceived.begin(),
                          lane.unreceived.begin() + static_cast<std::ptrdiff_t>(dropped));
  }

  std::uint64_t load_of(int slot) const {
    return parts_.board.workers[static_cast<std::size_t>(slot)].connections +
           ways_.at(slot).lane.unreceived.size();
  }

  // The one with the fewest connections of those that keep up; nullptr: none does.
  Lane* choose() {
    const auto most = stopping_ ? SIZE_MAX : kMostUnreceived;
    Lane* chosen = nullptr;
    std::uint64_t least = UINT64_MAX;
    for (const int slot : slots_) {
      Lane& lane = ways_.at(slot).lane;
      const std::uint64_t load = load_of(slot);
      if (lane.unreceived.size() >= most || load >= least) continue;
      chosen = &lane;
      least = load;
    }
    return chosen;
  }

  // False: nobody takes it now.
  bool send(UniqueFd& socket) {
    using enum ipc::Channel::SendResult;
    const std::array sockets{socket.fd()};
    Lane* const lane = choose();
    const bool is_over = doors_.empty() || stopping_;  // another strategy or program has followed
    if (lane == nullptr && !is_over) return false;
    ipc::Channel& channel = lane != nullptr ? lane->channel.left : parts_.any_worker;
    if (channel.try_send(kNote, sockets) != sent) {
      look_again_.set(Deadline::in(kPauseWhenShort));
      return false;
    }
    if (lane == nullptr) return true;
    lane->unreceived.push_back(std::move(socket));
    return true;
  }

  void send_waiting() {
    while (!waiting_.empty() && send(waiting_.front())) waiting_.pop_front();
  }

  // Accepts as long as somebody takes what is accepted.
  void go_on() {
    send_waiting();
    const bool accepting =
        waiting_.empty() && choose() != nullptr && !stopping_ && look_again_.deadline().is_never();
    if (!accepting) return watches_.clear();
    if (!watches_.empty()) return;
    for (const auto& door : doors_) {
      for (const net::Listener* listener : door) watch(*listener);
    }
  }

  void watch(const net::Listener& listener) {
    if (!listener.is_listening()) return;
    watches_.push_back(std::make_unique<Loop::Watch>(
        parts_.loop, listener.fd(), Interest::read,
        [this, &listener](const Readiness&) { accept_from(listener); }));
  }

  void accept_from(const net::Listener& listener) {
    for (std::size_t left = kAcceptAtOnce; left > 0 && !watches_.empty(); --left) {
      auto result = listener.try_accept();
      if (const int* error = std::get_if<int>(&result)) {
        if (*error != EAGAIN && *error != EWOULDBLOCK) pause_for_lack(listener, *error);
        return;
      }
      short_ = false;
      waiting_.push_back(std::move(std::get<UniqueFd>(result)));
      go_on();
    }
  }

  void pause_for_lack(const net::Listener& listener, int error) {
    if (!std::exchange(short_, true)) {
      parts_.complain("accept on " + listener.address().text() + ": " + error_text(error) +
                      "; connections wait until that ends");
    }
    look_again_.set(Deadline::in(kPauseWhenShort));
    go_on();
  }

  DistributorParts parts_;
  std::vector<int> slots_;
  Doors doors_;
  bool stopping_ = false;
  bool short_ = false;  // of descriptors or memory, and it has been said
  std::map<int, Way> ways_;
  std::deque<UniqueFd> waiting_;  // accepted, and sent to nobody who lives
  std::vector<std::unique_ptr<Loop::Watch>> watches_;
  Loop::Timer look_again_;
};

}  // namespace

std::unique_ptr<Distributor> make_pass_distributor(DistributorParts parts) {
  return std::make_unique<PassDistributor>(parts);
}

}  // namespace procpool::models::detail
