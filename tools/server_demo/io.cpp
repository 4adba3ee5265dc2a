#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>

#include "ipc/base/error.hpp"
#include "ipc/shared.hpp"
#include "tools/server_demo/commands.hpp"
#include "tools/server_demo/demonstration.hpp"
#include "tools/server_demo/io_models.hpp"
#include "tools/server_demo/plain_socket.hpp"
#include "tools/table.hpp"

namespace procpool::server_demo {
namespace {

using demo::Align;
using demo::Table;
using Serves = IoModel::Serves;

constexpr std::string_view kSummary = "one reader, three clients: how it waits for all of them";
constexpr std::string_view kRemember =
    "Whoever asks must wait for one, or ask in vain; whoever is told need not: select, poll and "
    "epoll sleep once for all. epoll is told only once whom to watch, so it stays the same with "
    "thousands. Edge-triggered epoll is right only when each read goes on until EAGAIN.";

constexpr std::array<std::size_t, 3> kSpeakingOrder{2, 0, 1};  // cyn, ada, bob
constexpr std::string_view kAsTheySpeak = "cyn ada bob";
constexpr std::string_view kInTurn = "ada bob cyn";
constexpr std::chrono::milliseconds kThought{20};  // before a client speaks

struct Outcome : IoRecord {
  std::atomic<demo::Clock::rep> first_waited = 0;  // cyn, for her answer
};

std::string_view expected_order(const IoModel& model) {
  switch (model.serves) {
    case Serves::as_they_speak:
      return kAsTheySpeak;
    case Serves::in_turn:
      return kInTurn;
    case Serves::nobody:
      return "nobody";
  }
  return {};
}

std::string order_of(const IoRecord& record) {
  std::string order;
  for (const char letter : record.answered) {
    const auto* name = std::ranges::find(kClientNames, letter, &std::string_view::front);
    if (name != kClientNames.end()) order += text(order.empty() ? "" : " ", *name);
  }
  return order.empty() ? "nobody" : order;
}

double milliseconds_of(demo::Clock::rep ticks) {
  return std::chrono::duration<double, std::milli>{demo::Clock::duration{ticks}}.count();
}

// One run: the director brings the clients to the reader and says whose turn it is to speak.
class Run {
 public:
  Run(Stage& stage, const IoModel& model, Telling telling, Outcome& outcome)
      : stage_{stage}, model_{model}, telling_{telling}, outcome_{outcome} {}

  void play() {
    for (std::size_t i = 0; i < kClientNames.size(); ++i) bring(i);
    auto reader = stage_.enter("reader", [&] { read(); });
    for (Client& client : connected_) client.socket.reset();
    for (const std::size_t speaker : kSpeakingOrder) {
      may_speak_.at(speaker).give();
      await_effect(speaker, reader);
    }
    for (auto& client : clients_) stage_.finish(client);
    stage_.finish(reader);
  }

 private:
  template <typename... Parts>
  void say(const Parts&... parts) {
    if (telling_ == Telling::aloud) stage_.say(parts...);
  }

  void bring(std::size_t number) {
    const auto address = net::Address::local_of(listener_.fd());
    clients_.push_back(stage_.enter(std::string{kClientNames.at(number)}, [&, number] {
      for (Client& other : connected_) other.socket.reset();
      const UniqueFd socket = connect_to(address);
      listener_.reset();
      speak(number, socket.fd());
    }));
    connected_.push_back({.name = kClientNames.at(number), .socket = accept_from(listener_.fd())});
  }

  void speak(std::size_t number, int socket) {
    may_speak_.at(number).await();
    std::this_thread::sleep_for(kThought);
    const auto spoke_at = demo::Clock::now();
    say("says its line of ", kGreeting.size(), " bytes, waits for the answer");
    send_all(socket, kGreeting);
    has_spoken_.at(number).give();
    std::array<char, kAnswer.size()> answer;
    if (::recv(socket, answer.data(), answer.size(), MSG_WAITALL) <= 0) {
      say("gets no answer: the reader has gone home");
      return;
    }
    const auto waited = demo::Clock::now() - spoke_at;
    if (number == kSpeakingOrder.front()) outcome_.first_waited = waited.count();
    say("has its answer after ", milliseconds_of(waited.count()), " ms, leaves");
  }

  void read() {
    listener_.reset();
    Reader reader{stage_, telling_, std::move(connected_), outcome_};
    model_.serve(reader);
    reader.close();
  }

  // Until nothing more happens: the client has its answer, or nobody cares.
  void await_effect(std::size_t speaker, const proc::Process& reader) {
    has_spoken_.at(speaker).await();
    const bool is_answered =
        model_.serves == Serves::as_they_speak ||
        (model_.serves == Serves::in_turn && speaker != kSpeakingOrder.front());
    if (is_answered) {
      stage_.finish(clients_.at(speaker));
    } else if (model_.serves == Serves::in_turn) {
      Stage::await_sleep(reader);
      say("sees that the reader sleeps on: it waits for ada");
    }
  }

  Stage& stage_;
  const IoModel& model_;
  Telling telling_;
  Outcome& outcome_;
  UniqueFd listener_ = listen_on_loopback();
  std::array<Cue, kClientNames.size()> may_speak_;
  std::array<Cue, kClientNames.size()> has_spoken_;
  std::vector<proc::Process> clients_;
  std::vector<Client> connected_;
};

void play(Stage& stage, const IoModel& model, Telling telling, Outcome& outcome) {
  Run{stage, model, telling, outcome}.play();
  stage.prove(text(model.name, ": who was served, in this order"), expected_order(model),
              order_of(outcome));
}

void prove_what_is_lost(Stage& stage, const Outcome& careless) {
  stage.prove("bytes that nobody was told of any more",
              kClientNames.size() * (kGreeting.size() - kBite), careless.unread);
}

std::string calls_table(const IoRecord& record) {
  Table table{{{"system call", Align::left}, {"times", Align::right}, {"in vain", Align::right}}};
  for (std::size_t i = 0; i < kCallNames.size(); ++i) {
    const unsigned times = record.calls.by_call.at(i);
    if (times == 0) continue;
    const bool is_read = i == static_cast<std::size_t>(Call::read);
    table.add({std::string{kCallNames.at(i)}, text(times),
               is_read ? text(record.calls.reads_in_vain) : ""});
  }
  return "How often the reader asked the kernel\n" + table.text();
}

int show_one(const IoModel& model) {
  ipc::Shared<Outcome> outcome;
  const auto act = [&](Stage& stage) {
    if (model.name == "epoll-et") {
      ipc::Shared<Outcome> careless;
      stage.say("first a reader who stops early");
      play(stage, careless_model, Telling::aloud, *careless);
      prove_what_is_lost(stage, *careless);
      stage.say("and now one who reads until EAGAIN");
    }
    play(stage, model, Telling::aloud, *outcome);
  };
  return show(text("io ", model.name), model.summary, model.remember, act,
              [&] { return calls_table(*outcome); });
}

void add_row(Table& table, const IoModel& model, const Outcome& outcome) {
  const CallCounts& calls = outcome.calls;
  const unsigned waits = calls.of(Call::select) + calls.of(Call::poll) + calls.of(Call::epoll_wait);
  const unsigned others = calls.all() - waits - calls.of(Call::read) - calls.of(Call::write);
  table.add({std::string{model.name}, order_of(outcome),
             outcome.first_waited == 0 ? "for ever"
                                       : demo::fixed(milliseconds_of(outcome.first_waited), 1),
             text(calls.of(Call::read)), text(calls.reads_in_vain), text(waits), text(others),
             text(calls.all()), text(outcome.unread)});
}

int show_all() {
  constexpr std::size_t kRows = 9;
  ipc::Shared<std::array<Outcome, kRows>> outcomes;
  std::vector<const IoModel*> models;
  for (const IoModel& model : io_models()) models.push_back(&model);
  models.push_back(&careless_model);
  const auto act = [&](Stage& stage) {
    for (std::size_t i = 0; i < models.size(); ++i) {
      stage.say("plays ", models[i]->name, ": ", models[i]->summary);
      play(stage, *models[i], Telling::not_at_all, outcomes->at(i));
    }
    prove_what_is_lost(stage, outcomes->back());
  };
  const auto figures = [&] {
    Table table{{{"", Align::left},
                 {"served in this order", Align::left},
                 {"cyn waited, ms", Align::right},
                 {"reads", Align::right},
                 {"in vain", Align::right},
                 {"waits", Align::right},
                 {"set-up", Align::right},
                 {"calls in all", Align::right},
                 {"unread bytes", Align::right}}};
    for (std::size_t i = 0; i < models.size(); ++i) add_row(table, *models[i], outcomes->at(i));
    return text("The same three clients each time; they speak in the order cyn, ada, bob.\n",
                table.text(),
                "\n  waits: select, poll, epoll_wait; "
                "set-up: fcntl, setsockopt, epoll_create1, epoll_ctl\n");
  };
  return show("io", kSummary, kRemember, act, figures);
}

}  // namespace

void offer_io(CLI::App& app, demo::Action& action) {
  std::vector<std::string> names;
  std::string footer = "\nModels:\n";
  for (const IoModel& model : io_models()) {
    names.emplace_back(model.name);
    footer += text("  ", demo::padded(model.name, 13, Align::left), model.summary, "\n");
  }
  CLI::App* command = app.add_subcommand("io", std::string{kSummary});
  command->footer(footer);
  CLI::Option* chosen = command->add_option("model")
                            ->description("one of them, step by step; none: all side by side")
                            ->check(CLI::IsMember(names));
  chosen->option_text("MODEL");
  command->callback([&action, chosen] {
    if (chosen->count() == 0) {
      action = show_all;
      return;
    }
    const auto name = chosen->as<std::string>();
    action = [name] { return show_one(*std::ranges::find(io_models(), name, &IoModel::name)); };
  });
}

}  // namespace procpool::server_demo
