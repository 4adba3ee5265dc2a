// Takes connections out of listeners and channels, also when descriptors or memory are short.
//
//   Intake intake{{.begin = serve, .room = room, .pause = close_all, .complain = log}, refusal};
//   while (auto socket = intake.accept(listener)) intake.begin(std::move(*socket));
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "ipc/base/unique_fd.hpp"
#include "ipc/channel.hpp"
#include "servers/net/listener.hpp"

namespace procpool::models::detail {

// Of one worker. Keeps a descriptor in reserve, so that a client for whom there is none left can be
// told so. Nothing here blocks.
class Intake {
 public:
  struct Uses {
    std::function<void(UniqueFd)> begin;  // serves a connection
    std::function<std::size_t()> room;    // how many more may begin
    std::function<void()> pause;          // takes nothing for a moment
    std::function<void(const std::string&)> complain;
    std::function<void()> refused{};  // a client was
  };

  Intake(Uses uses, std::string_view refusal);  // sent to those who are refused; may be empty

  // Nothing: nobody waits; or resources are short, which is complained of once, and paused for.
  std::optional<UniqueFd> accept(const net::Listener& listener);

  // Nothing: there is none; or no room for its descriptor, which is paused for. Not valid: it came
  // without its descriptor.
  std::optional<UniqueFd> receive(ipc::Channel& channel);

  void begin(UniqueFd socket);

  // How many to take now: the rest wakes a sibling, so that no worker swallows a burst alone.
  std::size_t at_once() const { return std::min(kAtOnce, uses_.room()); }

 private:
  static constexpr std::size_t kAtOnce = 8;
  void refuse_some(const net::Listener& listener);

  Uses uses_;
  std::string_view refusal_;
  UniqueFd spare_;
  bool refused_for_lack_ = false;
};

}  // namespace procpool::models::detail
