#include "proc/process_title.hpp"

#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/io.hpp"
#include "proc/run.hpp"
#include "tests/support/forked.hpp"

namespace procpool::proc {
namespace {

using test::Forked;

std::string titles_of(const std::vector<std::string>& titles) {
  std::vector<std::string> argv{PROCPOOL_TITLE_PROGRAM};
  argv.insert(argv.end(), titles.begin(), titles.end());
  const auto result = run(argv, {.environment = {{"WORD=kept"}}});
  EXPECT_TRUE(result.status.success()) << result.status.text() << result.err;
  return result.out;
}

TEST(ProcessTitle, is_what_others_see_and_nothing_else_changes) {
  EXPECT_EQ(titles_of({"first title", "a"}), "[first title]\n[a]\na kept\n");
}

TEST(ProcessTitle, leaves_nothing_of_a_longer_one_behind) {
  const std::string longer(100, 'x');
  EXPECT_EQ(titles_of({longer, "short", longer, ""}),
            "[" + longer + "]\n[short]\n[" + longer + "]\n[]\n kept\n");
}

// The last argument is longer than what is shown of it: its own room is counted, too.
TEST(ProcessTitle, may_be_as_long_as_the_command_line_was) {
  const std::string longest(3000, 'y');
  EXPECT_EQ(titles_of({longest}), "[" + longest + "]\n" + longest + " kept\n");
}

TEST(ProcessTitle, is_cut_where_its_room_ends) {
  Forked child{[] {
    std::string words = "one two";
    words[3] = '\0';
    std::array<char*, 3> argv{words.data(), words.data() + 4, nullptr};
    prepare_process_title(2, argv.data());
    set_process_title("12345678901234567890");
    EXPECT_EQ(words, "1234567");
    EXPECT_STREQ(argv[0], "one");
    EXPECT_STREQ(argv[1], "two");
    set_process_title("ab");
    EXPECT_EQ(words, std::string("ab\0\0\0\0\0", 7));
  }};
  EXPECT_EQ(child.wait(), test::exited(0));
}

TEST(ProcessTitle, is_one_line_whatever_is_in_it) {
  EXPECT_EQ(titles_of({"a\nb\x7f\x01 c\xc3\xbc"}).substr(0, 12), "[a?b?? c\xc3\xbc]\n");
}

TEST(ProcessTitle, of_a_process_that_is_not_prepared_stays) {
  const std::string before = read_file("/proc/self/cmdline");
  set_process_title("something else");
  EXPECT_EQ(read_file("/proc/self/cmdline"), before);
}

}  // namespace
}  // namespace procpool::proc
