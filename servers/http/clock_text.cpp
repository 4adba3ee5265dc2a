#include "servers/http/clock_text.hpp"

#include <algorithm>

namespace procpool::http {

void ClockText::format(std::time_t now) noexcept {
  now_ = now;
  http_date_ = format_http_date(now);

  std::tm local{};
  ::localtime_r(&now, &local);
  std::array<char, 64> text;
  std::strftime(text.data(), text.size(), "%d/%b/%Y:%H:%M:%S %z", &local);
  std::copy_n(text.begin(), log_time_.size(), log_time_.begin());
}

}  // namespace procpool::http
