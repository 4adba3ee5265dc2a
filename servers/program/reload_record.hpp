// What became of a server's reloads and upgrades, in a file beside its pid file: for who asks for
// one.
//
//   ReloadRecord record{"/run/x.pid"};         // the master: writes /run/x.pid.reload
//   record.begin();
//   record.finish("");                         // or why it failed
//   auto last = read_reload_record("/run/x.pid");          // another process
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace procpool::program {

struct Reloads {
  std::uint64_t begun = 0;
  std::uint64_t finished = 0;
  std::string problem{};  // of the last one that is finished; empty: it has succeeded
};

std::string reload_record_path(const std::string& pid_file);

// Made by who holds the pid file, which so protects this one too; removed at the end, but by no
// child of fork. The file is replaced as a whole: a reader sees one state of it. One that cannot be
// written (full disk) is told on standard error and stops nobody.
class ReloadRecord {
 public:
  // `so_far`: what the one before it told, whose work this one goes on with. Throws Error.
  explicit ReloadRecord(const std::string& pid_file, Reloads so_far = {});
  ReloadRecord(const ReloadRecord&) = delete;
  ReloadRecord& operator=(const ReloadRecord&) = delete;
  ~ReloadRecord();

  // It is another process's now, and not removed at the end.
  void leave() noexcept { owner_ = 0; }

  void begin() noexcept;
  void finish(const std::string& problem) noexcept;

 private:
  void write() const;
  void try_to_write() const noexcept;

  std::string path_;
  pid_t owner_;
  Reloads reloads_;
};

// nullopt: there is none. Throws Error.
std::optional<Reloads> read_reload_record(const std::string& pid_file);

}  // namespace procpool::program
