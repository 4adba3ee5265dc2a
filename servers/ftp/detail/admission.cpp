#include "servers/ftp/detail/admission.hpp"

#include <cerrno>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "ipc/base/deadline.hpp"
#include "ipc/base/error.hpp"
#include "ipc/base/loop.hpp"
#include "proc/process.hpp"
#include "proc/process_title.hpp"
#include "servers/ftp/detail/control.hpp"
#include "servers/ftp/detail/login_line.hpp"
#include "servers/models/deputy.hpp"
#include "servers/net/wait.hpp"

namespace procpool::ftp::detail {
namespace {

using namespace std::chrono_literals;

// For what the deputy says when the time for a login is over, or the last one has failed.
constexpr auto kGrace = 5s;

// NSS may ask somebody far away.
constexpr auto kJudgement = kPatienceWithLogin - 10s;

// As somebody without privileges, who has the line.
models::SessionHandler reading_logins(const SettingsPtr& settings, int line) {
  return [settings, line](models::Session& session, net::Stream stream) -> net::Task<> {
    return converse(session, std::move(stream), settings, line);
  };
}

proc::Process begin_judgement(const std::optional<Guest>& guest, const std::string& password) {
  return proc::Process::fork([&] { return is_let_in(guest, password) ? 0 : 1; },
                             {.name = "judge",
                              .die_with_parent = true,
                              .no_new_privs = true,
                              .keep_only = std::vector<int>{}});
}

net::Task<bool> is_right(Loop& loop, const std::optional<Guest>& guest,
                         const std::string& password) {
  proc::Process judge = begin_judgement(guest, password);
  const bool judged =
      co_await net::ready(loop, judge.fd(), Interest::read, Deadline::in(kJudgement));
  if (!judged) throw_errno("judge", "login", ETIMEDOUT);
  co_return judge.wait().success();
}

net::Task<std::optional<Admission>> judge_logins(Loop& loop, int desk, const Settings& settings) {
  const Deadline deadline = Deadline::in(settings.login_timeout + kGrace);
  for (unsigned failures = 0; failures < settings.login_failures; ++failures) {
    const bool asked = co_await net::ready(loop, desk, Interest::read, deadline);
    const std::optional<Login> login = asked ? take_login(desk) : std::nullopt;
    if (!login) break;
    const std::optional<Guest> guest = find_guest(settings, login->name);
    const bool right = co_await is_right(loop, guest, login->password);
    if (right) {
      Admission admission{.guest = *guest, .facts = login->facts};
      co_return admission;
    }
    refuse(desk);
  }
  co_return std::nullopt;
}

// It has a last word to say.
net::Task<> await_end(models::Session& session, proc::Process& deputy) {
  co_await net::ready(session.loop(), deputy.fd(), Interest::read, Deadline::in(kGrace));
  const auto status = deputy.try_wait();
  if (status && status->success()) co_return;
  session.log().warn("{}: the process that reads logins {}", session.client(),
                     status ? status->text() : "does not end");
}

}  // namespace

net::Task<std::optional<Admission>> admit(models::Session& session, const net::Stream& stream,
                                          SettingsPtr settings) {
  proc::set_process_title("procpool-ftpd: " + session.client() + " -: lets in");
  auto [desk, line] = make_login_line();
  models::Deputy deputy{session,
                        stream,
                        reading_logins(settings, line.fd()),
                        {.credentials = *settings->run_as, .keep = {line.fd()}}};
  line.reset();
  std::optional<Admission> admission = co_await judge_logins(session.loop(), desk.fd(), *settings);
  if (!admission) co_await await_end(session, deputy.process());
  co_return admission;
}

}  // namespace procpool::ftp::detail
