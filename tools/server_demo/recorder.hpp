// Writes what clients and the terminal say into one file: one process, one thread, select(2).
//
//   Recorder recorder{{.listen = Address::parse("127.0.0.1:7000"), .file = "record.txt"}};
//   recorder.run();                                // until "quit", the end of input, or SIGTERM
#pragma once

#include <unistd.h>

#include <cstddef>
#include <list>
#include <string>
#include <string_view>

#include "ipc/base/unique_fd.hpp"
#include "proc/signal_source.hpp"
#include "servers/net/address.hpp"
#include "servers/net/framing.hpp"
#include "servers/net/listener.hpp"

namespace procpool::server_demo {

struct RecorderOptions {
  net::Address listen;
  std::string file;  // appended to; made if there is none
};

// Each line of a client or of the terminal becomes one line of the file: who, and what. Owns all of
// its descriptors but standard input. A client whose descriptor has no place in the set of select
// (1,024) is told so and sent away, as is one whose line is too long; the terminal's line that is
// too long is left out.
class Recorder {
 public:
  explicit Recorder(const RecorderOptions& options);  // throws Error

  const net::Address& address() const noexcept { return listener_.address(); }

  // Throws Error: the file cannot be written.
  void run();

 private:
  struct Source {
    std::string name;  // "127.0.0.1:40312", "terminal"
    UniqueFd socket;   // not valid: the terminal
    net::FrameDecoder lines;
    bool leaves_out_line = false;  // until it ends

    int fd() const noexcept { return socket.valid() ? socket.fd() : STDIN_FILENO; }
  };
  enum class Next { go_on, leave };

  void accept_client();
  void admit(UniqueFd socket);
  Next hear(Source& source);  // leave: it has nothing to say any more
  Next take(Source& source, std::string_view bytes);
  Next refuse_line(Source& source, std::string_view came_last);
  Next record(const Source& source, std::string_view words);
  void write(std::string_view who, std::string_view words);

  proc::SignalSource signals_;
  std::string file_name_;
  UniqueFd file_;
  net::Listener listener_;
  Source terminal_;
  std::list<Source> clients_;
  bool accepts_ = true;  // false: no descriptor is left, until a client leaves
};

}  // namespace procpool::server_demo
