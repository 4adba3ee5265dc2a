#include "tools/ftp/line_editor.hpp"

#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <cwchar>
#include <utility>

#include "ipc/base/error.hpp"
#include "tools/ftp/failure.hpp"
#include "tools/ftp/names.hpp"
#include "tools/ftp/words.hpp"
#include "tools/table.hpp"

namespace procpool::ftp_client {

struct LineEditor::State {
  State(Complete completion, Interrupts& of_user)
      : complete{std::move(completion)}, interrupts{of_user} {}

  Complete complete;
  Interrupts& interrupts;
  std::string prompt{};
  bool interrupted = false;
  std::unique_ptr<EditLine, decltype(&::el_end)> editor{nullptr, &::el_end};
  std::unique_ptr<History, decltype(&::history_end)> lines{nullptr, &::history_end};
  HistEvent event{};
};

namespace {

constexpr int kHistoryLength = 1000;
constexpr std::size_t kMostShown = 200;  // of the words that it may become

// UTF-8, as names at servers are, whatever the environment forgot to say.
void use_utf8() {
  ::setlocale(LC_CTYPE, "");
  if (std::strcmp(::nl_langinfo(CODESET), "UTF-8") != 0) ::setlocale(LC_CTYPE, "C.UTF-8");
}

std::string listed(const std::vector<std::string>& words) {
  std::string text = "\n";
  for (std::size_t i = 0; i < std::min(words.size(), kMostShown); ++i)
    text.append(i == 0 ? "" : "  ").append(printable(words[i]));
  if (words.size() > kMostShown) text.append("  ...");
  return text + "\n";
}

// Puts `typed` in the place of what stands from `start` to the cursor.
unsigned char replace_word(EditLine* editor, std::string_view line, std::size_t start,
                           const std::string& typed) {
  if (typed == line.substr(start)) return CC_ERROR;
  ::el_deletestr(editor, static_cast<int>(demo::width_of(line.substr(start))));
  ::el_insertstr(editor, typed.c_str());
  return CC_REFRESH;
}

unsigned char complete_word(EditLine* editor, const Complete& complete) {
  const LineInfo* const info = ::el_line(editor);
  const std::string line{info->buffer, info->cursor};
  auto words = complete(line);
  if (words.empty()) return CC_ERROR;
  const PartialWord partial = last_word(line);
  std::ranges::sort(words);
  const std::string common = common_beginning(words);
  if (words.size() == 1) {
    const bool goes_on = common.ends_with('/');
    return replace_word(
        editor, line, partial.start,
        goes_on ? quoted_word(common, Closing::no) : quoted_word(common, Closing::yes) + " ");
  }
  if (common.size() > partial.text.size())
    return replace_word(editor, line, partial.start, quoted_word(common, Closing::no));
  std::fputs(listed(words).c_str(), stdout);
  return CC_REDISPLAY;
}

}  // namespace

// editline's call-backs have the State as their client data.
struct EditLineCalls {
  using State = LineEditor::State;

  static State& state_of(EditLine* editor) {
    void* state = nullptr;
    ::el_get(editor, EL_CLIENTDATA, &state);
    return *static_cast<State*>(state);
  }

  static char* prompt(EditLine* editor) { return state_of(editor).prompt.data(); }

  // What a server refuses, or does not answer, is no completion. No exception passes through C.
  static unsigned char complete(EditLine* editor, int) {
    const State& state = state_of(editor);
    try {
      return complete_word(editor, state.complete);
    } catch (const std::exception&) {
      return CC_ERROR;
    }
  }

  // One character: from the terminal, unless Ctrl-C comes first.
  static int get_character(EditLine* editor, wchar_t* character) {
    State& state = state_of(editor);
    std::mbstate_t shift{};
    for (;;) {
      std::array<pollfd, 2> both{{{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0},
                                  {.fd = state.interrupts.fd(), .events = POLLIN, .revents = 0}}};
      if (::poll(both.data(), both.size(), -1) < 0) continue;
      if (both[1].revents != 0 && state.interrupts.take()) {
        state.interrupted = true;
        return -1;
      }
      if (both[0].revents == 0) continue;
      char byte = 0;
      const ssize_t count = ::read(STDIN_FILENO, &byte, 1);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return static_cast<int>(count);
      if (byte == '\0') continue;  // of a Ctrl-D that was typed before the keys were the editor's
      const std::size_t used = std::mbrtowc(character, &byte, 1, &shift);
      if (used == static_cast<std::size_t>(-2)) continue;
      if (used == static_cast<std::size_t>(-1)) *character = L'?';
      return 1;
    }
  }
};

LineEditor::LineEditor(Complete complete, Interrupts& interrupts)
    : state_{std::make_unique<State>(std::move(complete), interrupts)} {
  use_utf8();
  state_->editor.reset(::el_init("procpool-ftp", stdin, stdout, stderr));
  state_->lines.reset(::history_init());
  EditLine* const editor = state_->editor.get();
  if (editor == nullptr || !state_->lines) throw Error{"start", "line editor", "no memory"};
  ::history(state_->lines.get(), &state_->event, H_SETSIZE, kHistoryLength);
  ::history(state_->lines.get(), &state_->event, H_SETUNIQUE, 1);
  ::el_set(editor, EL_CLIENTDATA, state_.get());
  ::el_set(editor, EL_PROMPT, &EditLineCalls::prompt);
  ::el_set(editor, EL_EDITOR, "emacs");
  ::el_set(editor, EL_HIST, &::history, state_->lines.get());
  ::el_set(editor, EL_ADDFN, "complete", "complete the word", &EditLineCalls::complete);
  ::el_set(editor, EL_BIND, "^I", "complete", nullptr);
  ::el_set(editor, EL_BIND, "^R", "em-inc-search-prev", nullptr);
  ::el_set(editor, EL_GETCFN, &EditLineCalls::get_character);
  ::el_set(editor, EL_SIGNAL, 1);
  ::el_source(editor, nullptr);  // ~/.editrc
}

LineEditor::~LineEditor() = default;

std::optional<std::string> LineEditor::read(const std::string& prompt) {
  state_->prompt = prompt;
  state_->interrupted = false;
  int length = 0;
  const char* const text = ::el_gets(state_->editor.get(), &length);
  if (state_->interrupted || text == nullptr || length <= 0) {
    std::fputs("\n", stdout);
    std::fflush(stdout);
    if (state_->interrupted) return "";
    return std::nullopt;
  }
  std::string line{text, static_cast<std::size_t>(length)};
  while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
  if (line.find_first_not_of(" \t") != line.npos)
    ::history(state_->lines.get(), &state_->event, H_ENTER, line.c_str());
  return line;
}

}  // namespace procpool::ftp_client
