// The clients that people have: each gets a whole tree, or puts it there, byte for byte.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "proc/run.hpp"
#include "tests/servers/ftp/ftp_server.hpp"
#include "tests/support/contains.hpp"

namespace procpool::test {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr int kFiles = 300;
const std::vector<std::string> none;

// What a tree holds: the content of each file by its path.
std::map<std::string, std::string> files_of(const fs::path& root) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator{root}) {
    if (entry.is_regular_file())
      files[entry.path().lexically_relative(root)] = read_file(entry.path());
  }
  return files;
}

// The names of those that differ, or that only one of them has.
std::vector<std::string> differences(const fs::path& left, const fs::path& right) {
  const auto ours = files_of(left);
  const auto theirs = files_of(right);
  std::vector<std::string> names;
  for (const auto& [name, content] : ours) {
    const auto same = theirs.find(name);
    if (same == theirs.end() || same->second != content) names.push_back(name);
  }
  for (const auto& [name, content] : theirs) {
    if (!ours.contains(name)) names.push_back(name);
  }
  return names;
}

// Names that scripts forget about, and sizes around those of buffers.
void make_tree(const fs::path& root) {
  const std::vector<std::string> odd{"a b",  "it's", "\"quoted\"", "-R",     "f\xc3\xbc\xc3\x9f",
                                     "100%", "a;id", "#x",         "tab[1]", ".hidden",
                                     "a&b"};
  for (int i = 0; i < kFiles; ++i) {
    const fs::path folder = root / ("folder " + std::to_string(i % 7)) / std::to_string(i % 3);
    fs::create_directories(folder);
    const auto size = static_cast<std::size_t>(i % 10 == 0 ? 65'536 + i : i * 13);
    std::ofstream{folder / ("file" + std::to_string(i)), std::ios::binary}
        << std::string(size, static_cast<char>('a' + i % 26));
  }
  for (const std::string& name : odd) std::ofstream{root / name} << name;
}

// Ends with what the program said, if that was not success.
testing::AssertionResult succeeds(const std::vector<std::string>& argv,
                                  const std::string& folder = "/") {
  const auto result =
      proc::run(argv, {.working_directory = folder}, {.deadline = Deadline::in(50s)});
  if (result.status.success()) return testing::AssertionSuccess();
  return testing::AssertionFailure() << argv[0] << " " << result.status.text() << "\n"
                                     << result.out << result.err;
}

class FtpClients : public testing::Test {
 protected:
  std::string host() const { return server_.address().text(); }
  std::string port() const { return std::to_string(server_.address().port()); }
  std::string url(const std::string& path = {}) const {
    return "ftp://ada:secret@" + host() + "/" + path;
  }
  const fs::path& here() const { return mine_.path(); }

  FtpServer server_;
  TempDir mine_;
};

TEST_F(FtpClients, curl_gets_resumes_and_puts) {
  server_.write("a file", "0123456789");
  const fs::path copy = here() / "copy";
  ASSERT_TRUE(succeeds({"curl", "-sS", "-o", copy, url("a%20file")}));
  EXPECT_EQ(read_file(copy), "0123456789");
  std::ofstream{copy} << "0123";
  ASSERT_TRUE(succeeds({"curl", "-sS", "-C", "-", "-o", copy, url("a%20file")}));
  EXPECT_EQ(read_file(copy), "0123456789");
  ASSERT_TRUE(succeeds({"curl", "-sS", "--ftp-create-dirs", "-T", copy, url("new/folder/b")}));
  EXPECT_EQ(server_.read("new/folder/b"), "0123456789");
  ASSERT_TRUE(succeeds({"curl", "-sS", "--append", "-T", copy, url("new/folder/b")}));
  EXPECT_EQ(server_.read("new/folder/b"), "01234567890123456789");
  ASSERT_TRUE(succeeds({"curl", "-sS", "--disable-epsv", "-o", copy, url("a%20file")}));
  ASSERT_TRUE(succeeds({"curl", "-sS", "-P", "-", "-o", copy, url("a%20file")}));
  EXPECT_EQ(read_file(copy), "0123456789");
  const auto missing = proc::run({"curl", "-sS", url("missing")});
  EXPECT_EQ(missing.status, proc::ExitStatus::exited(78))
      << missing.err;  // CURLE_REMOTE_FILE_NOT_FOUND
}

TEST_F(FtpClients, wget_gets_a_tree) {
  make_tree(server_.root());
  ASSERT_TRUE(succeeds(
      {"wget", "-q", "-r", "-nH", "--restrict-file-names=nocontrol", "-l", "inf", url()}, here()));
  EXPECT_EQ(differences(here(), server_.root()), none);
}

TEST_F(FtpClients, lftp_mirrors_a_tree_both_ways) {
  make_tree(here());
  const std::string before =
      "set net:max-retries 1; set net:timeout 20; set ftp:ssl-allow off; "
      "open -u ada,secret ftp://" +
      host() + "; ";
  ASSERT_TRUE(succeeds({"lftp", "-c", before + "mirror -R -P 4 " + here().string() + " /put"}));
  EXPECT_EQ(differences(server_.root() / "put", here()), none);
  const TempDir back;
  ASSERT_TRUE(succeeds({"lftp", "-c", before + "mirror -P 4 /put " + back.path().string()}));
  EXPECT_EQ(differences(back.path(), here()), none);
}

TEST_F(FtpClients, ncftp_puts_and_gets_a_tree) {
  make_tree(here() / "tree");
  const std::vector<std::string> who{"-V", "-u", "ada", "-p", "secret", "-P", port(), "-R"};
  auto put = who;
  put.insert(put.begin(), "ncftpput");
  put.insert(put.end(), {"127.0.0.1", "/", here() / "tree"});
  ASSERT_TRUE(succeeds(put, here()));
  EXPECT_EQ(differences(server_.root() / "tree", here() / "tree"), none);
  auto get = who;
  get.insert(get.begin(), "ncftpget");
  get.insert(get.end(), {"127.0.0.1", here() / "back", "/tree"});
  fs::create_directory(here() / "back");
  ASSERT_TRUE(succeeds(get, here()));
  EXPECT_EQ(differences(here() / "back/tree", here() / "tree"), none);
}

TEST_F(FtpClients, ftplib_does_all_that_it_can) {
  make_tree(server_.root());
  std::ofstream{here() / "client.py"} << R"(
import ftplib, io, sys
ftp = ftplib.FTP(encoding='utf-8')
ftp.connect('127.0.0.1', int(sys.argv[1]))
ftp.login('ada', 'secret')
assert ftp.mkd('a"b') == '/a"b'
ftp.cwd('a"b')
assert ftp.pwd() == '/a"b', ftp.pwd()
data = bytes(range(256)) * 5000
ftp.storbinary('STOR bytes', io.BytesIO(data))
got = io.BytesIO()
ftp.retrbinary('RETR bytes', got.write)
assert got.getvalue() == data
assert ftp.size('bytes') == len(data)
got = io.BytesIO()
ftp.retrbinary('RETR bytes', got.write, rest=1000)
assert got.getvalue() == data[1000:]
ftp.storlines('STOR text', io.BytesIO(b'one\ntwo\n'))
lines = []
ftp.retrlines('RETR text', lines.append)
assert lines == ['one', 'two'], lines
assert sorted(ftp.nlst()) == ['bytes', 'text'], ftp.nlst()
facts = dict(ftp.mlsd())
assert facts['bytes']['size'] == str(len(data)), facts
assert facts['bytes']['type'] == 'file'
ftp.rename('bytes', 'moved')
assert ftp.sendcmd('MDTM moved').startswith('213 ')
ftp.delete('moved')
ftp.delete('text')
ftp.cwd('..')
ftp.rmd('a"b')
try:
    ftp.cwd('a"b')
    raise SystemExit('it is still there')
except ftplib.error_perm as error:
    assert str(error).startswith('550')
ftp.set_pasv(False)
names = ftp.nlst('folder 1')
assert sorted(names) == ['0', '1', '2'], names
print(ftp.quit())
)";
  ASSERT_TRUE(succeeds({"python3", here() / "client.py", port()}));
}

}  // namespace
}  // namespace procpool::test
