// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/fd.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <map>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiprocessing/event.hpp>
#include <multiprocessing/pickle.hpp>
#include <multiprocessing/pipe.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/queue.hpp>
#include <multiprocessing/wait.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"
#include "support/leftovers.hpp"
#include "support/mailbox.hpp"

namespace fd_test {

namespace mp = multiprocessing;
using namespace std::chrono_literals;

TEST_CASE("a descriptor is closed with its owner", "[fd]") {
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<mp::Fd>);
  auto const before = support::open_fds();
  {
    mp::Fd none;
    CHECK_FALSE(none);
    CHECK(none.get() == -1);
    mp::Fd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    CHECK(file);
    auto const copy = mp::Fd::duplicate(file.get());
    CHECK((copy && copy.get() != file.get()));
    CHECK((::fcntl(copy.get(), F_GETFD) & FD_CLOEXEC) != 0);
    none = std::move(file);
    CHECK(support::open_fds() == before + 2);
    int const number = none.release();
    CHECK_FALSE(none);
    mp::Fd again(number);
    again.close();
    CHECK(support::open_fds() == before + 1);
  }
  CHECK(support::open_fds() == before);
  CHECK_THROWS_AS(mp::Fd::duplicate(-1), std::system_error);
}

TEST_CASE("what arrives is another descriptor of the same file", "[fd]") {
  STATIC_REQUIRE(mp::Picklable<mp::Fd>);
  auto const before = support::open_fds();
  {
    support::Pipe pipe;
    auto const writer = mp::Fd::duplicate(pipe.writer.get());
    auto const arrived = support::parcelled(writer);
    CHECK(arrived.get() != writer.get());
    CHECK(::write(arrived.get(), "x", 1) == 1);
    CHECK(pipe.hear() == 'x');
    CHECK_FALSE(support::parcelled(mp::Fd()));
    std::vector<mp::Fd> both;
    both.push_back(mp::Fd::duplicate(pipe.reader.get()));
    both.emplace_back();
    auto const many = support::parcelled(both);
    CHECK((many.size() == 2 && many[0] && !many[1]));
  }
  CHECK(support::open_fds() == before);
}

TEST_CASE("bytes alone carry no descriptor", "[fd]") {
  CHECK(support::message_of<mp::PicklingError>([] { static_cast<void>(mp::dumps(mp::Fd())); }) ==
        "an Fd can only be sent through a Queue or a Pipe, or passed to a Process");
}

TEST_CASE("a descriptor that is not open can not be sent", "[fd]") {
  mp::Fd closed(1'000'000);
  CHECK_THROWS_AS(support::parcelled(closed), std::system_error);
  static_cast<void>(closed.release());
}

TEST_CASE("a descriptor arrives through a queue after its sender has ended", "[fd]") {
  mp::Queue<mp::Fd> queue;
  support::Pipe pipe;
  mp::Process process([](mp::Queue<mp::Fd> const& out, mp::Fd const& file) { out.put(file); },
                      queue, mp::Fd::duplicate(pipe.writer.get()));
  process.start();
  process.join();
  pipe.writer.reset();
  {
    auto const writer = queue.get();
    CHECK(::write(writer.get(), "x", 1) == 1);
  }
  CHECK(pipe.hear() == 'x');
  CHECK(pipe.hear() == '\0');
}

namespace {
using Files = std::map<std::string, mp::Fd>;

void read_greeting(mp::Connection<std::string, Files> const& end) {
  auto const files = end.recv();
  std::string text(5, '?');
  if (::pread(files.at("greeting").get(), text.data(), text.size(), 0) != 5) text = "nothing";
  end.send(text);
}
}  // namespace

TEST_CASE("a descriptor reaches a process that was there before it", "[fd]") {
  auto [parent, child] = mp::Pipe<Files, std::string>();
  mp::Process process(read_greeting, std::move(child));
  process.start();
  Files files;
  files["greeting"] = mp::Fd(::memfd_create("greeting", MFD_CLOEXEC));
  REQUIRE(::write(files["greeting"].get(), "hello", 5) == 5);
  parent.send(files);
  CHECK(parent.recv() == "hello");
  process.join();
}

TEST_CASE("a sentinel is waited for by another process", "[fd]") {
  mp::Event const go;
  mp::Process sleeper([](mp::Event const& told) { told.wait(); }, go);
  sleeper.start();
  mp::Queue<mp::Fd> sentinels;
  mp::Queue<std::size_t> ready;
  mp::Process watcher(
      [](mp::Queue<mp::Fd> const& in, mp::Queue<std::size_t> const& out) {
        auto const sentinel = in.get();
        out.put(mp::wait({sentinel.get()}, 0ms).size());
        out.put(mp::wait({sentinel.get()}).size());
      },
      sentinels, ready);
  watcher.start();
  sentinels.put(mp::Fd::duplicate(sleeper.sentinel()));
  CHECK(ready.get() == 0);
  go.set();
  CHECK(ready.get() == 1);
  sleeper.join();
  watcher.join();
}

TEST_CASE("a descriptor in a message that nobody receives is closed with the queue", "[fd]") {
  auto const before = support::open_fds();
  support::Pipe pipe;
  {
    mp::Queue<mp::Fd> queue;
    queue.put(mp::Fd::duplicate(pipe.writer.get()));
    pipe.writer.reset();
  }
  CHECK(pipe.hear() == '\0');
  pipe.reader.reset();
  CHECK(support::open_fds() == before);
}

TEST_CASE("what a killed process alone had under way is closed when it is joined", "[fd]") {
  mp::Queue<mp::Fd> const made_before;
  support::Pipe pipe;
  mp::Process process(
      [](mp::Fd const& file) {
        mp::Queue<mp::Fd> const queue;
        queue.put(file);
        ::raise(SIGKILL);
      },
      mp::Fd::duplicate(pipe.writer.get()));
  process.start();
  pipe.writer.reset();
  process.join();
  CHECK(pipe.hear() == '\0');
}

}  // namespace fd_test
