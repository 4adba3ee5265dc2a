// The time of now as answers and logs write it, made once a second.
//
//   clock.update(std::time(nullptr));       // in each turn of the loop: a comparison, mostly
//   out.append("Date: ").append(clock.http_date());
//   record.time = clock.log_time();
#pragma once

#include <array>
#include <ctime>
#include <string_view>

#include "servers/http/http_date.hpp"

namespace procpool::http {

// A value, of one thread. The views change their content with update().
class ClockText {
 public:
  explicit ClockText(std::time_t now) noexcept { format(now); }

  // Formats both texts when `now` is another second than before; true if so.
  bool update(std::time_t now) noexcept {
    if (now == now_) return false;
    format(now);
    return true;
  }

  std::time_t now() const noexcept { return now_; }

  // "Sun, 06 Nov 1994 08:49:37 GMT"
  std::string_view http_date() const noexcept { return {http_date_.data(), http_date_.size()}; }

  // "06/Nov/1994:09:49:37 +0100", in the zone of the process, as the combined log has it.
  std::string_view log_time() const noexcept { return {log_time_.data(), log_time_.size()}; }

 private:
  void format(std::time_t now) noexcept;

  std::time_t now_;
  HttpDate http_date_;
  std::array<char, 26> log_time_;
};

}  // namespace procpool::http
