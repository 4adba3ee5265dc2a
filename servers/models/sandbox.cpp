#include "servers/models/sandbox.hpp"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>

#include "ipc/base/error.hpp"
#include "ipc/base/unique_fd.hpp"

namespace procpool::models {
namespace {

constexpr int kAllowed[] = {
    // connections
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(getpeername),
    SCMP_SYS(getsockname),
    SCMP_SYS(getsockopt),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmmsg),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendfile),
    SCMP_SYS(sendmmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(setsockopt),
    SCMP_SYS(shutdown),

    // descriptors
    SCMP_SYS(close),
    SCMP_SYS(dup),
    SCMP_SYS(dup3),
    SCMP_SYS(fcntl),
    SCMP_SYS(fstat),
    SCMP_SYS(lseek),
    SCMP_SYS(pread64),
    SCMP_SYS(preadv),
    SCMP_SYS(pwrite64),
    SCMP_SYS(pwritev),
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(splice),
    SCMP_SYS(write),
    SCMP_SYS(writev),

    // files
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(fadvise64),
    SCMP_SYS(fallocate),
    SCMP_SYS(flock),
    SCMP_SYS(fstatfs),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(ftruncate),
    SCMP_SYS(getcwd),
    SCMP_SYS(getdents64),
    SCMP_SYS(linkat),
    SCMP_SYS(lstat),
    SCMP_SYS(mkdirat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(openat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(stat),
    SCMP_SYS(statfs),
    SCMP_SYS(statx),
    SCMP_SYS(umask),
    SCMP_SYS(unlinkat),

    // waiting, and waking others
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(eventfd2),
    SCMP_SYS(futex),
    SCMP_SYS(nanosleep),
    SCMP_SYS(pidfd_open),
    SCMP_SYS(pipe2),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(sched_yield),
    SCMP_SYS(signalfd4),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_gettime),
    SCMP_SYS(timerfd_settime),

    // memory
    SCMP_SYS(brk),
    SCMP_SYS(madvise),
    SCMP_SYS(memfd_create),
    SCMP_SYS(mremap),
    SCMP_SYS(munmap),

    // of itself
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(getegid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getpid),
    SCMP_SYS(getppid),
    SCMP_SYS(getrandom),
    SCMP_SYS(getrusage),
    SCMP_SYS(gettid),
    SCMP_SYS(getuid),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigpending),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigtimedwait),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sigaltstack),

    // the time and the system
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(sysinfo),
    SCMP_SYS(time),
    SCMP_SYS(uname),
};

constexpr int kAllowedToSessions[] = {
    SCMP_SYS(bind),     SCMP_SYS(chmod),  SCMP_SYS(connect),   SCMP_SYS(fchmod),
    SCMP_SYS(fchmodat), SCMP_SYS(listen), SCMP_SYS(utimensat),
};

// SOCK_CLOEXEC and SOCK_NONBLOCK are above it: socket(2).
constexpr scmp_datum_t kSocketType = 0xf;

struct Release {
  void operator()(scmp_filter_ctx filter) const noexcept { ::seccomp_release(filter); }
};
using Filter = std::unique_ptr<std::remove_pointer_t<scmp_filter_ctx>, Release>;

// libseccomp's functions give a negative errno.
void check(int result, const char* operation) {
  if (result < 0) throw Error{operation, "sandbox", -result};
}

template <typename... Comparisons>
void allow(const Filter& filter, int call, const Comparisons&... comparisons) {
  check(::seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, call, sizeof...(comparisons),
                           comparisons...),
        "seccomp_rule_add");
}

// libseccomp writes it to a descriptor, and nowhere else.
std::vector<sock_filter> compiled(const Filter& filter) {
  const UniqueFd file{::memfd_create("sandbox", MFD_CLOEXEC)};
  if (!file.valid()) throw_errno("memfd_create", "sandbox");
  check(::seccomp_export_bpf(filter.get(), file.fd()), "seccomp_export_bpf");
  const off_t size = ::lseek(file.fd(), 0, SEEK_END);
  std::vector<sock_filter> program(static_cast<std::size_t>(size) / sizeof(sock_filter));
  if (::pread(file.fd(), program.data(), static_cast<std::size_t>(size), 0) != size)
    throw_errno("read", "sandbox");
  return program;
}

void load(std::span<const sock_filter> program) {
  const sock_fprog lent{.len = static_cast<unsigned short>(program.size()),
                        .filter = const_cast<sock_filter*>(program.data())};
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &lent) != 0) throw_errno("seccomp", "sandbox");
}

// abort(3) signals its own process, and nobody may signal another one. Who that is the filter
// cannot know when it is compiled, in another process: so this goes before it.
std::array<sock_filter, 5> signals_to_itself_only() {
  const auto self = static_cast<std::uint32_t>(::getpid());
  return {{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tgkill, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),  // its lower half
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, self, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
  }};
}

}  // namespace

bool sandbox_is_available() noexcept {
  return kSandboxes && ::prctl(PR_GET_SECCOMP) >= 0;
}

SandboxFilter::SandboxFilter(SandboxFor whom) {
  const Filter filter{::seccomp_init(SCMP_ACT_TRAP)};
  if (!filter) throw Error{"seccomp_init", "sandbox", ENOMEM};
  // A tree instead of a list of comparisons.
  check(::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2), "seccomp_attr_set");
  for (const int call : kAllowed) allow(filter, call);
  if (whom == SandboxFor::session) {
    for (const int call : kAllowedToSessions) allow(filter, call);
    for (const int family : {AF_INET, AF_INET6}) {
      allow(filter, SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(family)),
            SCMP_A1(SCMP_CMP_MASKED_EQ, kSocketType, SOCK_STREAM));
    }
  }
  const auto not_executable = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
  allow(filter, SCMP_SYS(mmap), not_executable);
  allow(filter, SCMP_SYS(mprotect), not_executable);
  allow(filter, SCMP_SYS(prlimit64), SCMP_A2(SCMP_CMP_EQ, 0));     // reads a limit
  allow(filter, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, TCGETS));    // isatty(3)
  allow(filter, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, FIONREAD));  // of pipes and sockets
  allow(filter, SCMP_SYS(kill), SCMP_A1(SCMP_CMP_EQ, 0));          // is the owner of a lock alive?
  allow(filter, SCMP_SYS(tgkill));
  program_ = compiled(filter);
}

void SandboxFilter::enter() const {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) throw_errno("prctl", "sandbox");
  const auto first = signals_to_itself_only();
  std::vector<sock_filter> program{first.begin(), first.end()};
  program.insert(program.end(), program_.begin(), program_.end());
  load(program);  // as one: each costs time to be translated, and at every call
}

}  // namespace procpool::models
