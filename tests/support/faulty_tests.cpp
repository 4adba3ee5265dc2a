// Tests that do what no test may: support_test runs each of them and expects it to be found out.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <string>

#include <gtest/gtest.h>

#include "ipc/base/io.hpp"
#include "ipc/base/unique_fd.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/shared_name.hpp"

namespace procpool::test {
namespace {

void sleep_for_ever() {
  for (;;) ::pause();
}

TEST(Faulty, child) {
  if (::fork() == 0) sleep_for_ever();
}

TEST(Faulty, zombie) {
  if (::fork() == 0) ::_exit(0);
}

TEST(Faulty, orphan) {
  Forked parent{[] {
    if (::fork() == 0) sleep_for_ever();
  }};
  parent.wait();
}

TEST(Faulty, descriptor) {
  EXPECT_GE(::open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
}

TEST(Faulty, closed_descriptor) {
  ::close(0);
}

TEST(Faulty, shared_file) {
  const std::string path = "/dev/shm/procpool." + shared_name("left").substr(1);
  const UniqueFd file{::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600)};
  EXPECT_TRUE(file.valid());
}

TEST(Faulty, hang) {
  const Forked child{sleep_for_ever};
  write_full(STDOUT_FILENO, "\nchild " + std::to_string(child.pid()) + "\n", "output");
  sleep_for_ever();
}

TEST(Faulty, crash) {
  ::raise(SIGKILL);
}

TEST(Faulty, nothing_wrong) {}

}  // namespace
}  // namespace procpool::test
