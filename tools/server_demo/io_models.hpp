// The ways in which one process waits for several clients.
//
//   for (const IoModel& model : io_models()) std::cout << model.name << '\n';
//   model.serve(reader);                      // until all have left
#pragma once

#include <span>
#include <string_view>

#include "tools/server_demo/io_reader.hpp"

namespace procpool::server_demo {

struct IoModel {
  std::string_view name;
  std::string_view summary;
  std::string_view remember;
  void (*serve)(Reader&);
  enum class Serves { as_they_speak, in_turn, nobody } serves = Serves::as_they_speak;
};

std::span<const IoModel> io_models();

// epoll-et by somebody who has not read its man page.
extern const IoModel careless_model;

}  // namespace procpool::server_demo
