#include "servers/http/workspace.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace procpool::http {

std::span<char> Workspace::room() noexcept {
  if (begin > 0) {
    std::memmove(input.data(), input.data() + begin, end - begin);
    end -= std::exchange(begin, 0);
  }
  return std::span{input}.subspan(end);
}

std::span<char> Workspace::room_behind(std::size_t kept) noexcept {
  begin = end = kept;
  return std::span{input}.subspan(end);
}

void Workspace::reset(HeadLimits limits) noexcept {
  parser = HeadParser{limits};
  request.reset();
  begin = end = 0;
  request_begun.reset();
  output.clear();
  answers.clear();
  responder = nullptr;
  rest = nullptr;
  persistence = Persistence::keep;
  distrusted = false;
}

Workspaces::Lease Workspaces::lend() {
  std::unique_ptr<Workspace> work;
  if (free_.empty()) {
    free_.reserve(kMostKept);
    work = std::make_unique<Workspace>(limits_);
  } else {
    work = std::move(free_.back());
    free_.pop_back();
  }
  ++lent_;
  return Lease{work.release(), GiveBack{this}};
}

void Workspaces::take_back(Workspace* work) noexcept {
  std::unique_ptr<Workspace> owned{work};
  --lent_;
  if (free_.size() == kMostKept || owned->output.capacity() > kLargestOutputKept ||
      owned->answers.capacity() > kMostAnswersKept) {
    return;
  }
  owned->reset(limits_);
  free_.push_back(std::move(owned));
}

}  // namespace procpool::http
