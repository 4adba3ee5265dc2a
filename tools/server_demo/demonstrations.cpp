#include <unistd.h>

#include <array>
#include <filesystem>

#include <CLI/CLI.hpp>

#include "tools/narrator.hpp"
#include "tools/server_demo/commands.hpp"
#include "tools/server_demo/demonstration.hpp"

namespace procpool::server_demo {
namespace {

constexpr std::array kDemonstrations{
    &framing_demonstration,   &buffers_demonstration, &tcp_demonstration,     &udp_demonstration,
    &broadcast_demonstration, &unix_demonstration,    &sockets_demonstration, &names_demonstration};

// A folder for the sockets and files of one demonstration, removed with this object.
class Folder {
 public:
  Folder() : path_{std::filesystem::temp_directory_path() / text("server-demo.", ::getpid())} {
    std::filesystem::create_directory(path_);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace

std::span<const Demonstration* const> demonstrations() {
  return kDemonstrations;
}

int show(std::string_view name, std::string_view summary, std::string_view remember,
         const std::function<void(Stage&)>& play, const std::function<std::string()>& figures) {
  constexpr unsigned kLongestSeconds = 60;
  const Folder folder;
  const auto act = [&](Stage& stage) {
    ::alarm(kLongestSeconds);  // the others end with the director
    play(stage);
  };
  return demo::narrate({.title = text("server-demo ", name, ": ", summary),
                        .name = folder.path(),
                        .act = act,
                        .figures = figures,
                        .moral_title = "What to remember",
                        .moral = remember});
}

int show(const Demonstration& demonstration) {
  return show(demonstration.name, demonstration.summary, demonstration.remember,
              demonstration.play);
}

void offer_demonstrations(CLI::App& app, demo::Action& action) {
  for (const Demonstration* demonstration : demonstrations()) {
    CLI::App* command =
        app.add_subcommand(std::string{demonstration->name}, std::string{demonstration->summary});
    command->footer("\nWhat to remember:\n" + demo::wrapped(demonstration->remember, 2, 80));
    command->callback(
        [&action, demonstration] { action = [demonstration] { return show(*demonstration); }; });
  }
}

}  // namespace procpool::server_demo
