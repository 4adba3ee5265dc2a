// server-demo run: one model, for anybody who wants to talk to it.
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <CLI/CLI.hpp>

#include "ipc/shared.hpp"
#include "proc/signal_mask.hpp"
#include "tools/server_demo/address_option.hpp"
#include "tools/server_demo/commands.hpp"
#include "tools/server_demo/models.hpp"
#include "tools/server_demo/protocols.hpp"
#include "tools/table.hpp"
#include "tools/terminal.hpp"
#include "tools/text.hpp"

namespace procpool::server_demo {
namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned kWorkers = 2;
constexpr unsigned kMaxConnections = 1000;

struct RunOptions {
  std::string model{};
  std::string protocol = "echo";
  std::string listen = "127.0.0.1:0";
  unsigned workers = kWorkers;
  unsigned max_connections = kMaxConnections;
};

int list_models() {
  const std::string lines =
      "server-demo run MODEL runs a server until it is told to end; server-demo client talks to "
      "it.\n\n";
  demo::Table table{{{"model", demo::Align::left},
                     {"takes a", demo::Align::left},
                     {"what it is", demo::Align::left}}};
  for (const Model& model : all_models()) {
    table.add(
        {std::string{model.name}, std::string{name_of(model.form)}, std::string{model.summary}});
  }
  demo::print(lines + table.text());
  return 0;
}

// Counted where the bytes are handled, so that all models are counted alike: in shared memory,
// because that may be in any process.
models::MakeByteHandler counted(models::MakeByteHandler make, models::Statistics& seen) {
  return [make = std::move(make), &seen]() -> models::ByteHandler {
    seen.accepted.fetch_add(1);
    return [handler = make(), &seen](std::string_view in, std::string& out) {
      if (!in.empty()) seen.count(in.size());
      return handler(in, out);
    };
  };
}

double seconds_of(const timeval& time) {
  constexpr double kMicro = 1e-6;
  return static_cast<double>(time.tv_sec) + kMicro * static_cast<double>(time.tv_usec);
}

double processor_seconds(int whose) {
  rusage usage{};
  ::getrusage(whose, &usage);
  return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

std::string counted_as(std::uint64_t number, std::string_view one) {
  return demo::text(number, " ", one, number == 1 ? "" : "s");
}

std::string told(const models::Statistics& seen, Form form, Clock::duration time) {
  const double seconds = std::chrono::duration<double>{time}.count();
  const std::string who = form == Form::datagrams
                              ? counted_as(seen.messages, "datagram")
                              : demo::text(counted_as(seen.accepted, "client"), ", ",
                                           counted_as(seen.messages, "piece"));
  return demo::text(
      who, ", ", demo::size_text(seen.bytes), " received in ", demo::fixed(seconds, 1), " s; ",
      demo::fixed(processor_seconds(RUSAGE_SELF) + processor_seconds(RUSAGE_CHILDREN), 2),
      " s of processor time\n");
}

int run(const Model& model, Protocol protocol, const net::Address& address,
        const RunOptions& options) {
  const ipc::Shared<models::Statistics> seen;
  Setup setup{.address = address,
              .protocol = handlers_of(counted(bytes_of(protocol), *seen)),
              .workers = options.workers,
              .max_connections = options.max_connections,
              .datagram_statistics = seen.get()};
  setup.protocol.datagrams = echo_datagram;
  setup.on_serving = [&](const net::Address& bound) {
    demo::print(demo::text(model.name, ": ", name_of(protocol), " at ", bound.text(), ", process ",
                           ::getpid(), "; SIGINT or SIGTERM ends it\n"));
  };
  // A model obeys signals once it runs, which is after it has said where it listens.
  const proc::ScopedSignalMask kept_for_the_model{{SIGINT, SIGTERM, SIGQUIT}};
  const auto start = Clock::now();
  const int code = model.serve(setup);
  demo::print(told(*seen, model.form, Clock::now() - start));
  return code;
}

demo::Action run_of(const RunOptions& options, bool workers_given) {
  const Model* model = model_named(options.model);
  if (model == nullptr) {
    throw CLI::ValidationError{
        "run", "there is no model \"" + options.model + "\": server-demo run lists them"};
  }
  const Protocol protocol = protocol_named(options.protocol).value();
  if (model->form == Form::datagrams && protocol != Protocol::echo) {
    throw CLI::ValidationError{"--protocol", options.model + " has echo only"};
  }
  if (workers_given && !model->has_workers) {
    throw CLI::ValidationError{"--workers", options.model + " has none"};
  }
  const net::Address address = address_of("--listen", options.listen);
  return [=] { return run(*model, protocol, address, options); };
}

}  // namespace

void offer_run(CLI::App& app, demo::Action& action) {
  const auto options = std::make_shared<RunOptions>();
  CLI::App* command = app.add_subcommand("run", "one model, until it is told to end");
  command->add_option("model", options->model, "which one; without it they are listed")
      ->option_text("MODEL");
  command->add_option("--protocol", options->protocol, "echo, http or lines (echo)")
      ->check(CLI::IsMember({"echo", "http", "lines"}))
      ->option_text("NAME");
  command
      ->add_option("--listen", options->listen,
                   "A.B.C.D:PORT, [IPV6]:PORT or unix:PATH (127.0.0.1, the kernel chooses)")
      ->option_text("ADDRESS");
  CLI::Option* workers =
      command->add_option("--workers", options->workers, "threads or processes made ahead (2)")
          ->check(CLI::Range(1U, 256U))
          ->option_text("N");
  command
      ->add_option("--max-connections", options->max_connections,
                   "at once, in each worker; more wait (1000)")
      ->check(CLI::Range(1U, 1'000'000U))
      ->option_text("N");
  command->callback([&action, options, workers] {
    action =
        options->model.empty() ? demo::Action{list_models} : run_of(*options, workers->count() > 0);
  });
}

}  // namespace procpool::server_demo
