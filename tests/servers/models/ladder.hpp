// Every model, with the same echo behind it, in a process of its own for one test; and its clients.
//
//   ModelServer server{*model, Transport::tcp};
//   EXPECT_EQ(Peer{server.address()}.exchange("hello"), "hello");
#pragma once

#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ipc/base/deadline.hpp"
#include "ipc/base/unique_fd.hpp"
#include "ipc/shared.hpp"
#include "servers/models/server.hpp"
#include "servers/models/statistics.hpp"
#include "servers/net/address.hpp"
#include "servers/net/listener.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::test {

enum class Transport : std::uint8_t { tcp, unix_stream };

struct Settings {
  std::chrono::milliseconds idle{60'000};
  unsigned max_connections = 1000;
  std::optional<rlim_t> descriptors{};
};

// What a model is given, in its process.
struct Stage {
  net::Address address;
  Settings settings;
  std::filesystem::path log;
  models::Statistics& statistics;
  std::function<void(const net::Address&)> serving;

  net::Listener listen() const;  // and says that it does
  models::ServerOptions options() const;
};

struct Model {
  const char* name;
  int (*serve)(const Stage&);  // the exit code
  bool has_processes = false;  // a crash costs one of them
  bool has_statistics = true;  // the models' own; the others have boards
  bool one_after_the_other = false;
};
std::span<const Model> all_models();

// What the handlers do, apart from echoing, when a piece begins so.
inline constexpr std::string_view kThrow = "throw\n";
inline constexpr std::string_view kCrash = "crash\n";  // ends the process by SIGKILL
inline constexpr std::string_view kProblem = "somebody asked for an exception";

// Ends with the test.
class ModelServer {
 public:
  ModelServer(const Model& model, Transport transport, Settings settings = {});
  ~ModelServer();

  net::Address address() const;
  const models::Statistics& statistics() const { return *statistics_; }
  std::string log_text() const;
  bool logs(std::string_view text) const;

  Ending stop();  // as SIGTERM does it
  void pause();   // until resume() none of its threads runs. Of a model without processes
  void resume();
  bool is_running() const { return !process_.ended(); }

 private:
  int run();
  std::filesystem::path log() const { return folder_.path() / "log"; }

  TempDir folder_;
  const Model& model_;
  Transport transport_;
  Settings settings_;
  ipc::Shared<models::Statistics> statistics_;
  ipc::Shared<std::atomic<std::uint16_t>> port_;
  Gate serving_;
  Forked process_{[this] { return run(); }};
};

// A client that never blocks for good: it throws Error when nothing happens for a long time.
class Peer {
 public:
  enum class Buffers : std::uint8_t { normal, small };
  explicit Peer(const net::Address& server, Buffers buffers = Buffers::normal);

  // Sends all of it while it receives, then the end, and receives up to the server's end. What came
  // back is compared on the way: the result is its size, and whether it was the same.
  struct Echo {
    std::size_t size;
    bool same;
  };
  Echo echo(std::string_view message);
  std::string exchange(std::string_view message);  // the same, for what is short

  void send(std::string_view message);
  std::string receive(std::size_t size);  // shorter: the end came first, or a reset
  void end_sending();
  bool ended();  // waits for the end, or a reset; false: something came
  std::size_t send_until_stuck();
  void reset();  // leaves without good-bye

  std::string address() const;  // as the server sees it

 private:
  UniqueFd socket_;
};

}  // namespace procpool::test
