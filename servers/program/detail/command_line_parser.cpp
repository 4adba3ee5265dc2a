#include "servers/program/detail/command_line_parser.hpp"

#include <algorithm>

#include "servers/program/detail/nearest_name.hpp"

namespace procpool::program::detail {
namespace {

using Action = CommandLine::Action;

// The flags are given to CLI11 by reference.
constexpr std::size_t kMostFlags = 128;

// The command that was begun, and in it the command, and so on.
const CLI::App& innermost(const CLI::App& app) {
  const auto begun = app.get_subcommands();
  return begun.empty() ? app : innermost(*begun.back());
}

// For the first word that nobody knows: what may be meant.
[[noreturn]] void refuse_unknown(const CLI::App& app) {
  std::vector<std::string> words = app.remaining(true);
  const auto flag = std::find_if(words.begin(), words.end(),
                                 [](const std::string& word) { return word.starts_with('-'); });
  std::string wrong = flag == words.end() ? words.front() : *flag;
  wrong.resize(std::min(wrong.find('='), wrong.size()));
  const bool is_flag = flag != words.end();
  const CLI::App& where = innermost(app);
  std::vector<std::string> names;
  for (const CLI::App* command : where.get_subcommands(nullptr)) {
    if (!is_flag) names.push_back(command->get_name());
  }
  for (const CLI::Option* option : where.get_options()) {
    if (is_flag) names.push_back(option->get_name());
  }
  const std::string meant{nearest_name(wrong, {names.begin(), names.end()})};
  const std::string reason = is_flag ? "unknown option" : "unknown command";
  throw OptionsError{is_flag ? "option" : "command", wrong,
                     meant.empty() ? reason : reason + "; is \"" + meant + "\" meant?"};
}

}  // namespace

CommandLineParser::CommandLineParser(const std::string& name, const std::string& description,
                                     CommandLine& result)
    : result_{result}, app_{description, name} {
  given_.reserve(kMostFlags);
  app_.set_help_flag("-h,--help", "show this and end");
  app_.set_version_flag("--version", name + " " PROCPOOL_VERSION, "show the version and end");
  app_.add_option("--config", result_.config, "read settings from this TOML file; flags win")
      ->option_text("FILE");
  app_.add_flag("--check", check_, "read and judge the configuration, and end");
  app_.add_flag("--daemon", result_.daemon, "go to the background when it serves");
  offer_control("status", "say whether a server runs; 3: none", Action::status);
  offer_control("reload", "reload it, and say what came of that", Action::reload);
  offer_control("stop", "stop it, and wait for its end", Action::stop);
  offer_control("upgrade", "let the program that is installed now take over, without a gap",
                Action::upgrade);
  app_.require_subcommand(0, 1);
}

void CommandLineParser::offer_control(const char* name, const char* help, Action action) {
  auto* const control = app_.add_subcommand(name, help);
  control->set_help_flag();
  control->add_option("--pid-file", pid_file_, "of the server")->required()->option_text("FILE");
  control->callback([this, action] {
    result_.action = action;
    result_.text = pid_file_;
  });
}

void CommandLineParser::offer(const char* key, const char* placeholder, const char* help) {
  if (given_.size() == kMostFlags) throw Error{"offer", key, "there are too many flags"};
  Values& values = given_.emplace_back(key, Values{}).second;
  app_.add_option(std::string{"--"} + key, values, help)
      ->option_text(placeholder)
      ->allow_extra_args(false);
}

// False: there is only something to show.
bool CommandLineParser::parse_or_show(int argc, const char* const* argv) {
  try {
    app_.parse(argc, argv);
    return true;
  } catch (const CLI::CallForHelp&) {
    result_.text = app_.help();
  } catch (const CLI::CallForVersion& version) {
    result_.text = std::string{version.what()} + "\n";
  } catch (const CLI::ExtrasError&) {
    refuse_unknown(app_);
  } catch (const CLI::ParseError& error) {
    throw OptionsError{"command line", "", error.what()};
  }
  result_.action = Action::show;
  return false;
}

void CommandLineParser::parse(int argc, const char* const* argv) {
  if (!parse_or_show(argc, argv) || result_.action != Action::run) return;
  if (check_) result_.action = Action::check;
  for (auto& [key, values] : given_) {
    if (!values.empty()) result_.settings.emplace_back(std::move(key), std::move(values));
  }
}

}  // namespace procpool::program::detail
