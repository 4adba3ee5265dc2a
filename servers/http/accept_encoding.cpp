#include "servers/http/accept_encoding.hpp"

#include <array>
#include <cstddef>
#include <optional>

#include "servers/http/detail/grammar.hpp"

namespace procpool::http {
namespace {

// Qualities in thousandths.
constexpr int kBest = 1000;

// qvalue, RFC 9110 §12.4.2; 0 when it is none.
int parse_quality(std::string_view text) noexcept {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return 0;
  if (text.size() > 1 && text[1] != '.') return 0;
  int quality = (text[0] - '0') * kBest;
  int unit = kBest / 10;
  for (const char c : text.substr(text.size() > 1 ? 2 : 1)) {
    if (!is_digit(c)) return 0;
    quality += (c - '0') * unit;
    unit /= 10;
  }
  return quality > kBest ? 0 : quality;
}

// Takes what stands before the separator off `text`.
std::string_view take_until(char separator, std::string_view& text) noexcept {
  const auto end = text.find(separator);
  const std::string_view taken = text.substr(0, end);
  text = end == text.npos ? std::string_view{} : text.substr(end + 1);
  return trim(taken);
}

// Of one element, "gzip;q=0.5".
int quality_of(std::string_view parameters) noexcept {
  parameters = trim(parameters);
  if (parameters.empty()) return kBest;
  if (to_lower(parameters[0]) != 'q' || !parameters.substr(1).starts_with('=')) return 0;
  return parse_quality(parameters.substr(2));
}

struct Qualities {
  std::optional<int> identity, gzip, br, others;

  void read(std::string_view list) noexcept {
    while (!list.empty()) {
      std::string_view element = take_until(',', list);
      const std::string_view coding = take_until(';', element);
      const int quality = quality_of(element);
      if (equals_ignoring_case(coding, "gzip") || equals_ignoring_case(coding, "x-gzip")) {
        gzip = quality;
      } else if (equals_ignoring_case(coding, "br")) {
        br = quality;
      } else if (equals_ignoring_case(coding, "identity")) {
        identity = quality;
      } else if (coding == "*") {
        others = quality;
      }
    }
  }
};

}  // namespace

Coding choose_coding(const Fields& fields, Codings available) noexcept {
  Qualities qualities;
  for (const Field& field : fields) {
    if (equals_ignoring_case(field.name, "accept-encoding")) qualities.read(field.value);
  }
  const int unnamed = qualities.others.value_or(0);
  Coding best = Coding::identity;
  int best_quality = qualities.identity.value_or(0);
  const auto consider = [&](Coding coding, bool is_there, std::optional<int> quality) {
    const int its = quality.value_or(unnamed);
    if (!is_there || its == 0 || its < best_quality) return;
    best = coding;
    best_quality = its;
  };
  consider(Coding::gzip, available.gzip, qualities.gzip);
  consider(Coding::br, available.br, qualities.br);
  return best;
}

std::string_view name_of(Coding coding) noexcept {
  constexpr std::array<std::string_view, 3> kNames{"", "gzip", "br"};
  return kNames[static_cast<std::size_t>(coding)];
}

}  // namespace procpool::http
