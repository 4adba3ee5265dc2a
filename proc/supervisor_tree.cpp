#include "proc/supervisor_tree.hpp"

#include <chrono>
#include <set>
#include <utility>

#include "ipc/base/loop.hpp"
#include "proc/signal_source.hpp"

namespace procpool::proc {
namespace {

using Kind = SupervisorEvent::Kind;

// The body of a supervisor that is supervised; in its process.
class Middle {
 public:
  Middle(ChildContext& context, const Supervisor::EventHandler& on_event)
      : context_{context}, on_event_{on_event} {}

  int run(const std::vector<ChildSpec>& children, const GenerationPolicy& policy) {
    const Loop::Watch signal_watch{loop_, signals_.fd(), Interest::read, [this](auto&) {
                                     while (signals_.try_next()) stop();
                                   }};
    const Loop::Watch supervisor_watch{loop_, supervisor_.fd(), Interest::read,
                                       [this](auto&) { supervisor_.step(); }};
    supervisor_.start_generation(children, {}, policy);
    loop_.run();
    return failed_ && !told_to_stop_ ? 1 : 0;
  }

 private:
  void stop() {
    told_to_stop_ = true;
    supervisor_.stop_all();
    if (supervisor_.empty()) loop_.stop();
  }

  void on_event(const SupervisorEvent& event) {
    on_event_(event);
    if (event.kind == Kind::generation_ready) context_.ready();
    if (event.kind == Kind::generation_failed) {
      context_.fail(event.reason);
      supervisor_.stop_all();
    }
    failed_ |= event.kind == Kind::generation_failed || event.kind == Kind::gave_up ||
               event.kind == Kind::generation_gave_up;
    if (event.kind == Kind::generation_gone) loop_.stop();
  }

  ChildContext& context_;
  const Supervisor::EventHandler& on_event_;
  bool told_to_stop_ = false;
  bool failed_ = false;
  Loop loop_;
  SignalSource signals_{{SIGTERM}};
  Supervisor supervisor_{[this](const SupervisorEvent& event) { on_event(event); }};
};

}  // namespace

ChildSpec supervised_supervisor(std::string name, std::vector<ChildSpec> children,
                                const GenerationPolicy& policy, Supervisor::EventHandler on_event) {
  ChildSpec middle{.name = std::move(name)};
  middle.ready_within = std::chrono::seconds{1};
  middle.stop = {{SIGTERM, kForever}};
  middle.options.die_with_parent = true;
  middle.options.blocked_signals = {SIGTERM};
  std::set<int> kept;
  for (ChildSpec& child : children) {
    child.options.die_with_parent = true;
    middle.ready_within += child.ready_within;
    if (child.options.keep_only) {
      kept.insert(child.options.keep_only->begin(), child.options.keep_only->end());
    }
  }
  middle.options.keep_only.emplace(kept.begin(), kept.end());
  middle.body = [children = std::move(children), policy,
                 on_event = std::move(on_event)](ChildContext& context) {
    return Middle{context, on_event}.run(children, policy);
  };
  return middle;
}

}  // namespace procpool::proc
