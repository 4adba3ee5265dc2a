// Socket options by name and type.
//
//   set_option(socket.fd(), kNoDelay, true);
//   const int bytes = get_option(socket.fd(), kReceiveBuffer);     // what the kernel made of it
//   set_option(socket.fd(), kLinger, Linger{.seconds = 5});
//   // throws: setsockopt "TCP_NODELAY": Operation not supported
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <chrono>
#include <string_view>

namespace procpool::net {

// An option and the type of its value: bool, int, a duration, Linger. A value.
template <typename T>
struct SocketOption {
  int level;
  int number;
  std::string_view name;  // as the man pages have it
};

// Whether close(2) waits for what is unsent, and then throws it away by a reset: socket(7),
// SO_LINGER.
struct Linger {
  bool on = true;
  int seconds = 0;
  friend bool operator==(const Linger&, const Linger&) = default;
};

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// socket(7)
inline constexpr SocketOption<bool> kReuseAddress{SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR"};
inline constexpr SocketOption<bool> kReusePort{SOL_SOCKET, SO_REUSEPORT, "SO_REUSEPORT"};
inline constexpr SocketOption<bool> kKeepAlive{SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE"};
inline constexpr SocketOption<bool> kBroadcast{SOL_SOCKET, SO_BROADCAST, "SO_BROADCAST"};
inline constexpr SocketOption<bool> kUrgentInline{SOL_SOCKET, SO_OOBINLINE, "SO_OOBINLINE"};
inline constexpr SocketOption<int> kSendBuffer{SOL_SOCKET, SO_SNDBUF, "SO_SNDBUF"};
inline constexpr SocketOption<int> kReceiveBuffer{SOL_SOCKET, SO_RCVBUF, "SO_RCVBUF"};
inline constexpr SocketOption<int> kReceiveLowWater{SOL_SOCKET, SO_RCVLOWAT, "SO_RCVLOWAT"};
inline constexpr SocketOption<microseconds> kReceiveTimeout{SOL_SOCKET, SO_RCVTIMEO, "SO_RCVTIMEO"};
inline constexpr SocketOption<microseconds> kSendTimeout{SOL_SOCKET, SO_SNDTIMEO, "SO_SNDTIMEO"};
inline constexpr SocketOption<Linger> kLinger{SOL_SOCKET, SO_LINGER, "SO_LINGER"};
inline constexpr SocketOption<int> kError{SOL_SOCKET, SO_ERROR, "SO_ERROR"};  // read: and cleared
inline constexpr SocketOption<int> kType{SOL_SOCKET, SO_TYPE, "SO_TYPE"};     // only read
inline constexpr SocketOption<bool> kIsListening{SOL_SOCKET, SO_ACCEPTCONN, "SO_ACCEPTCONN"};

// unix(7)
inline constexpr SocketOption<bool> kPassCredentials{SOL_SOCKET, SO_PASSCRED, "SO_PASSCRED"};

// tcp(7)
inline constexpr SocketOption<bool> kNoDelay{IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY"};
inline constexpr SocketOption<bool> kCork{IPPROTO_TCP, TCP_CORK, "TCP_CORK"};
inline constexpr SocketOption<bool> kQuickAck{IPPROTO_TCP, TCP_QUICKACK, "TCP_QUICKACK"};
inline constexpr SocketOption<seconds> kKeepIdle{IPPROTO_TCP, TCP_KEEPIDLE, "TCP_KEEPIDLE"};
inline constexpr SocketOption<seconds> kKeepInterval{IPPROTO_TCP, TCP_KEEPINTVL, "TCP_KEEPINTVL"};
inline constexpr SocketOption<int> kKeepCount{IPPROTO_TCP, TCP_KEEPCNT, "TCP_KEEPCNT"};
inline constexpr SocketOption<milliseconds> kUserTimeout{IPPROTO_TCP, TCP_USER_TIMEOUT,
                                                         "TCP_USER_TIMEOUT"};
inline constexpr SocketOption<seconds> kDeferAccept{IPPROTO_TCP, TCP_DEFER_ACCEPT,
                                                    "TCP_DEFER_ACCEPT"};
inline constexpr SocketOption<int> kUnsentLowWater{IPPROTO_TCP, TCP_NOTSENT_LOWAT,
                                                   "TCP_NOTSENT_LOWAT"};
inline constexpr SocketOption<int> kMaximumSegment{IPPROTO_TCP, TCP_MAXSEG, "TCP_MAXSEG"};

// ip(7), ipv6(7)
inline constexpr SocketOption<int> kTimeToLive{IPPROTO_IP, IP_TTL, "IP_TTL"};
inline constexpr SocketOption<int> kTypeOfService{IPPROTO_IP, IP_TOS, "IP_TOS"};
inline constexpr SocketOption<int> kMulticastTimeToLive{IPPROTO_IP, IP_MULTICAST_TTL,
                                                        "IP_MULTICAST_TTL"};
inline constexpr SocketOption<bool> kMulticastLoop{IPPROTO_IP, IP_MULTICAST_LOOP,
                                                   "IP_MULTICAST_LOOP"};
inline constexpr SocketOption<bool> kOnlyIpv6{IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY"};
inline constexpr SocketOption<int> kHopLimit{IPPROTO_IPV6, IPV6_UNICAST_HOPS, "IPV6_UNICAST_HOPS"};
inline constexpr SocketOption<int> kMulticastHops{IPPROTO_IPV6, IPV6_MULTICAST_HOPS,
                                                  "IPV6_MULTICAST_HOPS"};

namespace detail {
void set_raw_option(int socket, int level, int number, std::string_view name, const void* value,
                    socklen_t size);
void get_raw_option(int socket, int level, int number, std::string_view name, void* value,
                    socklen_t size);

// What the kernel takes for a T.
template <typename T>
struct RawOption {  // bool, int
  using Raw = int;
  static Raw encode(T value) noexcept { return static_cast<Raw>(value); }
  static T decode(Raw raw) noexcept { return static_cast<T>(raw); }
};
template <typename Rep, typename Period>
struct RawOption<std::chrono::duration<Rep, Period>> {
  using Raw = int;
  static Raw encode(std::chrono::duration<Rep, Period> value) noexcept {
    return static_cast<Raw>(value.count());
  }
  static auto decode(Raw raw) noexcept { return std::chrono::duration<Rep, Period>{raw}; }
};
template <>
struct RawOption<Linger> {
  using Raw = linger;
  static Raw encode(Linger value) noexcept {
    return {.l_onoff = value.on ? 1 : 0, .l_linger = value.seconds};
  }
  static Linger decode(Raw raw) noexcept {
    return {.on = raw.l_onoff != 0, .seconds = raw.l_linger};
  }
};
template <>
struct RawOption<microseconds> {
  using Raw = timeval;
  static Raw encode(microseconds value) noexcept {
    const auto whole = std::chrono::duration_cast<seconds>(value);
    return {.tv_sec = whole.count(), .tv_usec = (value - whole).count()};
  }
  static microseconds decode(Raw raw) noexcept {
    return seconds{raw.tv_sec} + microseconds{raw.tv_usec};
  }
};
}  // namespace detail

// setsockopt(2). Throws Error naming the option.
template <typename T>
void set_option(int socket, const SocketOption<T>& option, T value) {
  const auto raw = detail::RawOption<T>::encode(value);
  detail::set_raw_option(socket, option.level, option.number, option.name, &raw, sizeof raw);
}

// getsockopt(2): what the kernel has, which may be more than was asked for. Throws Error.
template <typename T>
T get_option(int socket, const SocketOption<T>& option) {
  typename detail::RawOption<T>::Raw raw{};
  detail::get_raw_option(socket, option.level, option.number, option.name, &raw, sizeof raw);
  return detail::RawOption<T>::decode(raw);
}

}  // namespace procpool::net
