#include "servers/program/presence.hpp"

#include <errno.h>

#include <exception>
#include <iostream>
#include <utility>

namespace procpool::program {

Presence::Presence(std::string path, UniqueFd inherited,
                   const std::optional<models::Predecessor>& predecessor)
    : path_{std::move(path)},
      inherited_{std::move(inherited)},
      goes_on_{predecessor && predecessor->is_this_process()} {
  if (!predecessor) begin();
}

void Presence::begin() {
  if (path_.empty() || file_) return;
  if (inherited_.valid()) {
    file_.emplace(path_, std::move(inherited_));
  } else {
    file_.emplace(path_);
  }
  const auto so_far = goes_on_ ? read_reload_record(path_) : std::nullopt;
  record_.emplace(path_, so_far.value_or(Reloads{}));
}

void Presence::begin_change() noexcept {
  if (record_) record_->begin();
}

void Presence::finish_change(const std::string& problem) noexcept {
  if (record_) record_->finish(problem);
}

void Presence::leave() noexcept {
  if (!file_) return;
  record_->leave();
  file_->leave();
}

// A file that cannot be written (full disk) stops nobody.
void Presence::stay(const std::string& problem) noexcept {
  if (!file_) return;
  try {
    file_->hold();
  } catch (const std::exception& error) {
    std::cerr << program_invocation_short_name << ": " << error.what() << std::endl;
  }
  record_->finish(problem);
}

}  // namespace procpool::program
