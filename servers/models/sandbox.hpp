// The system calls that a serving process needs, and no others: seccomp(2).
//
//   const SandboxFilter filter{SandboxFor::session};     // a master, before it forks
//   filter.enter();                                      // each of its children, when all is open
//                                                        // that is out of the usual
#pragma once

#include <linux/filter.h>

#include <vector>

namespace procpool::models {

// Sanitizers make calls of their own, at any time.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSandboxes = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kSandboxes = false;
#else
inline constexpr bool kSandboxes = true;
#endif
#else
inline constexpr bool kSandboxes = true;
#endif

// This build has it, and the kernel.
bool sandbox_is_available() noexcept;

// From now on this process can use files, memory, and the connections and listening sockets that it
// has or is given, and wait for all of that. It cannot make processes, threads, sockets or
// executable memory, signal another process or look into one, run programs, or use any of the
// system's rarer calls. One that tries is sent SIGSYS, which ends it, and which CrashReport
// explains. There is no way back. For a process with one thread. Throws Error.
//
// A session may also open, bind and connect TCP sockets, IPv4 and IPv6, and change the modes and
// times of files, as FTP wants it.
enum class SandboxFor { worker, session };

// A value, never changed. It takes a millisecond to make: a master that makes many processes does
// so once, and they inherit it.
class SandboxFilter {
 public:
  explicit SandboxFilter(SandboxFor whom);  // throws Error

  void enter() const;

 private:
  std::vector<sock_filter> program_;
};

}  // namespace procpool::models
