// The connection that a file comes or goes by: agreed upon before the command that uses it.
//
//   DataChannel channel = DataChannel::agree(control, agreement);   // EPSV, PASV, EPRT or PORT
//   control.ask("RETR a");                                          // 150
//   UniqueFd data = channel.connection(control);
#pragma once

#include <cstdint>

#include "ipc/base/unique_fd.hpp"
#include "tools/ftp/control.hpp"

namespace procpool::ftp_client {

enum class DataMode : std::uint8_t { automatic, passive, active };

// What is known of a server: what it has refused is not asked again.
struct DataAgreement {
  DataMode mode = DataMode::automatic;
  bool epsv = true;
  bool pasv = true;
};

class DataChannel {
 public:
  // Passive first, and active (of `automatic`) only when the server has no passive at all. Whatever
  // address a 227 names, it is the server of the control connection that is connected to: another
  // one would be a way to make this client talk to strangers. Throws Failure, Refused.
  static DataChannel agree(Control& control, DataAgreement& agreement);

  // After the server has begun: accepts its connection, in active mode, from its own address only.
  UniqueFd connection(const Control& control);

 private:
  DataChannel(UniqueFd socket, bool listens) : socket_{std::move(socket)}, listens_{listens} {}
  static UniqueFd passive(Control& control, DataAgreement& agreement);  // invalid: it has none
  static UniqueFd extended_passive(Control& control, DataAgreement& agreement);
  static UniqueFd plain_passive(Control& control, DataAgreement& agreement);
  static DataChannel active(Control& control);

  UniqueFd socket_;
  bool listens_;
};

}  // namespace procpool::ftp_client
