#include "servers/http/access_log.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/unique_fd.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::http {
namespace {

AccessRecord record() {
  return {.client = "127.0.0.1",
          .time = "06/Nov/1994:09:49:37 +0100",
          .request_line = "GET / HTTP/1.1",
          .status = Status::ok,
          .bytes = 1024,
          .referer = {},
          .user_agent = "curl/7.88.1"};
}

constexpr std::string_view kLine =
    "127.0.0.1 - - [06/Nov/1994:09:49:37 +0100] \"GET / HTTP/1.1\" 200 1024 \"-\" "
    "\"curl/7.88.1\"\n";

// The reports of a log, for a look afterwards.
struct Reports {
  std::vector<std::string> sentences;
  AccessLog::Report sink() {
    return [this](std::string_view sentence) { sentences.emplace_back(sentence); };
  }
};

// The most that this process may write into a file, for one scope.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

TEST(AccessLog, writes_lines_in_its_format) {
  const test::TempDir dir;
  const std::string path = dir.path() / "log";
  Reports reports;
  AccessLog{{path, AccessFormat::common}, reports.sink()}.add(record());
  EXPECT_EQ(read_file(path),
            "127.0.0.1 - - [06/Nov/1994:09:49:37 +0100] \"GET / HTTP/1.1\" 200 1024\n");
}

TEST(AccessLog, gathers_lines_until_it_is_flushed) {
  const test::TempDir dir;
  const std::string path = dir.path() / "log";
  Reports reports;
  AccessLog log{{path}, reports.sink()};
  log.add(record());
  log.add(record());
  EXPECT_EQ(read_file(path), "");
  log.flush();
  EXPECT_EQ(read_file(path), std::string{kLine} + std::string{kLine});
  EXPECT_TRUE(reports.sentences.empty());
}

TEST(AccessLog, flushes_by_itself_when_much_is_gathered_and_at_its_end) {
  const test::TempDir dir;
  const std::string path = dir.path() / "log";
  const std::size_t count = 2 * AccessLog::kFlushSize / kLine.size();
  Reports reports;
  {
    AccessLog log{{path}, reports.sink()};
    for (std::size_t i = 0; i < count; ++i) log.add(record());
    EXPECT_GE(std::filesystem::file_size(path), AccessLog::kFlushSize);
  }
  EXPECT_EQ(std::filesystem::file_size(path), count * kLine.size());
}

TEST(AccessLog, appends_to_what_is_there) {
  const test::TempDir dir;
  const std::string path = dir.path() / "log";
  Reports reports;
  for (int i = 0; i < 2; ++i) AccessLog{{path}, reports.sink()}.add(record());
  EXPECT_EQ(std::filesystem::file_size(path), 2 * kLine.size());
}

TEST(AccessLog, goes_to_a_new_file_after_a_rotation) {
  const test::TempDir dir;
  const std::string path = dir.path() / "log";
  Reports reports;
  AccessLog log{{path}, reports.sink()};
  log.add(record());
  std::filesystem::rename(path, path + ".1");
  log.reopen();
  log.add(record());
  log.flush();
  EXPECT_EQ(read_file(path + ".1"), kLine);
  EXPECT_EQ(read_file(path), kLine);
}

TEST(AccessLog, keeps_the_old_file_when_the_new_one_cannot_be_opened) {
  const test::TempDir dir;
  const std::filesystem::path folder = dir.path() / "logs";
  std::filesystem::create_directory(folder);
  Reports reports;
  AccessLog log{{folder / "log"}, reports.sink()};
  std::filesystem::rename(folder, dir.path() / "moved");
  log.reopen();
  EXPECT_EQ(reports.sentences.size(), 1u);
  log.add(record());
  log.flush();
  EXPECT_EQ(read_file(dir.path() / "moved/log"), kLine);
}

TEST(AccessLog, loses_lines_on_a_full_disk_and_says_so_once) {
  Reports reports;
  AccessLog log{{"/dev/full"}, reports.sink()};
  for (int i = 0; i < 3; ++i) {
    log.add(record());
    log.add(record());
    log.flush();
  }
  EXPECT_EQ(log.dropped(), 6u);
  ASSERT_EQ(reports.sentences.size(), 1u);
  EXPECT_NE(reports.sentences[0].find("No space left on device"), std::string::npos);
}

TEST(AccessLog, says_when_it_is_written_again_and_tears_no_line) {
  const test::TempDir dir;
  const std::string path = dir.path() / "log";
  Reports reports;
  AccessLog log{{path}, reports.sink()};
  {
    const FileSizeLimit limit{kLine.size() + 10};
    for (int i = 0; i < 3; ++i) log.add(record());
    log.flush();
    log.flush();
    EXPECT_EQ(std::filesystem::file_size(path), kLine.size() + 10);
    EXPECT_EQ(log.dropped(), 1u);
  }
  log.add(record());
  log.flush();
  EXPECT_EQ(read_file(path), std::string{kLine} + std::string{kLine} + std::string{kLine});
  ASSERT_EQ(reports.sentences.size(), 2u);
  EXPECT_NE(reports.sentences[1].find("written again"), std::string::npos);
}

TEST(AccessLog, can_be_off) {
  Reports reports;
  AccessLog log{{"off"}, reports.sink()};
  EXPECT_FALSE(log.enabled());
  log.add(record());
  log.flush();
  log.reopen();
  EXPECT_TRUE(reports.sentences.empty());
}

TEST(AccessLog, that_cannot_be_opened_is_an_error) {
  EXPECT_THROW((AccessLog{{"/nonexistent/log"}, [](std::string_view) {}}), Error);
}

}  // namespace
}  // namespace procpool::http
