#include "tools/ftp/job.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "ipc/base/io.hpp"
#include "tools/ftp/failure.hpp"
#include "tools/ftp/names.hpp"
#include "tools/text.hpp"

namespace procpool::ftp_client {
namespace {

class Busy {
 public:
  Busy(ProgressSlot& slot, std::string_view name, std::optional<std::uint64_t> total,
       std::uint64_t offset)
      : slot_{slot} {
    slot.begin(name, total.value_or(0), offset);
  }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;
  ~Busy() { slot_.end(); }

 private:
  ProgressSlot& slot_;
};

[[noreturn]] void throw_size(std::string_view operation, const std::string& path,
                             std::uint64_t there, std::uint64_t here) {
  throw Failure{ExitCode::transfer_failed, operation, printable(path),
                demo::text("the server says ", there, " bytes, and ", here, " were moved")};
}

// LIST knows minutes only, and the time of nobody knows where.
std::optional<std::time_t> exact_time(Session& session, const Job& job) {
  if (session.has("MLST") && job.modified) return job.modified;
  const auto said = session.modified(job.remote);
  return said ? said : job.modified;
}

void get(Session& session, const LocalFolder& folder, const Job& job, const JobOptions& options,
         ProgressSlot& slot, const Tick& tick) {
  const bool text = session.options().text;
  const auto size = text || job.size ? job.size : session.size(job.remote);
  const auto modified = exact_time(session, job);
  std::optional<PartFile::Resume> resume;
  if (options.resume && !text) resume = {.remote_size = size, .remote_modified = modified};
  PartFile part{folder, job.local, resume};
  const Busy busy{slot, job.local, size, part.size()};
  if (part.size() == 0 || part.size() != size) {
    session.retrieve(job.remote, part.size(), [&](std::string_view bytes) {
      part.append(bytes);
      slot.done = part.size();
      if (!text && size && part.size() > *size) throw_size("get", job.remote, *size, part.size());
      tick();
    });
  }
  if (!text && size && part.size() != *size) throw_size("get", job.remote, *size, part.size());
  part.finish(modified);
}

// How much of the file is there already: of one that is longer, nothing.
std::uint64_t there_already(Session& session, const Job& job, const struct stat& facts) {
  const auto there = job.size ? job.size : session.size(job.remote);
  const bool older = job.modified && *job.modified < facts.st_mtime;
  if (!there || older || *there > static_cast<std::uint64_t>(facts.st_size)) return 0;
  return *there;
}

void put(Session& session, const LocalFolder& folder, const Job& job, const JobOptions& options,
         ProgressSlot& slot, const Tick& tick) {
  const std::string shown = printable(joined(folder.path(), job.local));
  const UniqueFd file = folder.open(job.local, O_RDONLY | O_NONBLOCK);
  struct stat facts{};
  if (!file.valid() || ::fstat(file.fd(), &facts) != 0) throw_errno("open", shown);
  if (!S_ISREG(facts.st_mode)) throw Error{"put", shown, "it is no regular file"};
  const bool text = session.options().text;
  const auto total = static_cast<std::uint64_t>(facts.st_size);
  std::uint64_t moved = options.resume && !text ? there_already(session, job, facts) : 0;
  const Busy busy{slot, job.local, total, moved};
  if (moved == 0 || moved < total) {
    if (::lseek(file.fd(), static_cast<off_t>(moved), SEEK_SET) < 0) throw_errno("lseek", shown);
    const auto how = moved > 0 ? Session::Store::append : Session::Store::whole;
    session.store(job.remote, how, [&](char* buffer, std::size_t size) {
      const ssize_t count = retry_eintr([&] { return ::read(file.fd(), buffer, size); });
      if (count < 0) throw_errno("read", shown);
      moved += static_cast<std::size_t>(count);
      slot.done = moved;
      tick();
      return static_cast<std::size_t>(count);
    });
  }
  const auto there = text ? std::nullopt : session.size(job.remote);
  if (there && *there != moved) throw_size("put", job.remote, *there, moved);
  session.set_modified(job.remote, facts.st_mtime);
}

}  // namespace

void do_job(Session& session, const LocalFolder& folder, Direction direction, const Job& job,
            const JobOptions& options, ProgressSlot& slot, const Tick& tick) {
  const auto act = direction == Direction::get ? &get : &put;
  act(session, folder, job, options, slot, tick);
}

}  // namespace procpool::ftp_client
