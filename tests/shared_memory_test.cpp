// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/shared_memory.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <multiprocessing/errors.hpp>
#include <multiprocessing/logging.hpp>
#include <multiprocessing/pickle.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/queue.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"
#include "support/leftovers.hpp"
#include "support/memory_name.hpp"
#include "support/scenes.hpp"
#include "support/start_methods.hpp"

namespace shared_memory_test {

namespace mp = multiprocessing;
using mp::SharedMemory;
using support::ByFork;
using support::ByForkServer;
using support::BySpawn;
using support::is_there;
using support::unused_name;

namespace {

/// One with a name, which goes with it.
struct Named {
  std::string name = unused_name();
  SharedMemory memory{{.name = name, .create = true, .size = 5000}};

  Named() = default;
  Named(Named const&) = delete;
  Named& operator=(Named const&) = delete;
  ~Named() { std::remove(("/dev/shm/" + name).c_str()); }
};

std::errc error_of(auto const& call) {
  try {
    call();
    return {};
  } catch (std::system_error const& error) {
    return static_cast<std::errc>(error.code().value());
  }
}

void fill(SharedMemory const& memory) { std::ranges::fill(memory.buf(), std::byte{7}); }
bool is_filled(SharedMemory const& memory) {
  return memory.size() != 0 && std::ranges::count(memory.buf(), std::byte{7}) ==
                                   static_cast<std::ptrdiff_t>(memory.size());
}

}  // namespace

TEST_CASE("what has a name is found by it, with exactly its size", "[shared_memory]") {
  Named const made;
  CHECK(made.memory.name() == made.name);
  CHECK(made.memory.size() == 5000);
  CHECK(std::ranges::count(made.memory.buf(), std::byte{0}) == 5000);
  SharedMemory const attached({.name = made.name, .size = 1});  // no matter
  CHECK(attached.size() == 5000);
  CHECK(attached == made.memory);
  CHECK(attached.buf().data() != made.memory.buf().data());
  fill(attached);
  CHECK(is_filled(made.memory));
  struct stat status;
  REQUIRE(::fstat(attached.fileno(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("a name is there once, until it is unlinked", "[shared_memory]") {
  Named const made;
  CHECK(error_of([&] { SharedMemory({.name = made.name, .create = true, .size = 1}); }) ==
        std::errc::file_exists);
  CHECK(support::message_of<std::system_error>([&] {
          SharedMemory({.name = made.name, .create = true, .size = 1});
        }) == "SharedMemory(" + made.name + "): File exists");
  made.memory.unlink();
  CHECK(error_of([&] { SharedMemory({.name = made.name}); }) ==
        std::errc::no_such_file_or_directory);
  CHECK(error_of([&] { made.memory.unlink(); }) == std::errc::no_such_file_or_directory);
  fill(made.memory);  // stays
  CHECK(is_filled(made.memory));
}

TEST_CASE("who attaches may unlink, and nobody unlinks another's", "[shared_memory]") {
  Named const made;
  SharedMemory attached({.name = made.name});
  attached.close();
  attached.unlink();
  CHECK_FALSE(is_there(made.name));
  SharedMemory const other({.name = made.name, .create = true, .size = 1});
  CHECK(error_of([&] { made.memory.unlink(); }) == std::errc::no_such_file_or_directory);
  CHECK(is_there(made.name));
}

TEST_CASE("what can not be made is refused, and leaves nothing", "[shared_memory]") {
  auto const name = unused_name();
  auto const message = [](mp::SharedMemoryOptions const& options) {
    return support::message_of<std::invalid_argument>([&] { SharedMemory{options}; });
  };
  CHECK(message({.name = name, .create = true}) ==
        "SharedMemory: with create, it needs a size above 0");
  CHECK(message({.size = 10}) == "SharedMemory: without create, it needs a name");
  CHECK(message({.name = std::string("a\0b", 3)}) ==
        "SharedMemory: the name \"a\\x00b\" has a NUL in it");
  CHECK(message({.name = "a/b", .create = true, .size = 1}) ==
        "SharedMemory: the name \"a/b\" has a slash in it");
  CHECK(message({.name = ".."}) == "SharedMemory: the name \"..\" is no name of a file");
  CHECK(error_of([] {
          SharedMemory({.name = std::string(300, 'x'), .create = true, .size = 1});
        }) == std::errc::filename_too_long);
  for (std::size_t const size : {SIZE_MAX, std::size_t{1} << 50}) {
    CHECK_THROWS_AS(SharedMemory({.name = name, .create = true, .size = size}), std::bad_alloc);
    CHECK_THROWS_AS(SharedMemory({.create = true, .size = size}), std::bad_alloc);
  }
  CHECK_FALSE(is_there(name));
}

TEST_CASE("more than a file may have is no signal", "[shared_memory]") {
  support::RawChild child([] {
    rlimit const limit{1 << 20, 1 << 20};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    int refused = 0;
    for (auto const& name : {std::string(), unused_name()}) {
      try {
        SharedMemory({.name = name, .create = true, .size = 2 << 20});
      } catch (std::bad_alloc const&) {
        ++refused;
      }
    }
    SharedMemory small({.create = true, .size = 100});
    try {
      small.resize(2 << 20);
    } catch (std::bad_alloc const&) {
      ++refused;
    }
    return refused == 3 && small.size() == 100 ? 0 : 1;
  });
  CHECK(child.exitcode() == 0);
}

TEST_CASE("a file without a size is not mapped", "[shared_memory]") {
  auto const name = unused_name();
  mp::os::Fd const file(::open(("/dev/shm/" + name).c_str(), O_CREAT | O_RDWR, 0600));
  CHECK(support::message_of<mp::Error>([&] { SharedMemory({.name = name}); }) ==
        "SharedMemory: \"" + name + "\" has no size yet");
  std::remove(("/dev/shm/" + name).c_str());
}

TEST_CASE("who finds it finds it filled", "[shared_memory]") {
  auto const name = unused_name();
  CHECK_THROWS_AS(SharedMemory({.name = name, .create = true, .size = 8},
                               [](auto) { throw std::runtime_error("no"); }),
                  std::runtime_error);
  CHECK_FALSE(is_there(name));
  SharedMemory const made({.name = name, .create = true, .size = 8}, [&](auto bytes) {
    CHECK_FALSE(is_there(name));
    std::ranges::fill(bytes, std::byte{7});
  });
  CHECK(is_filled(SharedMemory({.name = name}, [](auto) { FAIL("it is there"); })));
  made.unlink();
}

TEST_CASE("without a name it leaves nothing", "[shared_memory]") {
  auto const before = support::Holdings::now();
  {
    SharedMemory memory({.create = true, .size = 100});
    CHECK(memory.name().empty());
    CHECK(support::Holdings::now().shared_memory == before.shared_memory);
    memory.unlink();  // of programs that were Python's
    auto copy = memory;
    fill(copy);
    CHECK(is_filled(memory));
    memory.close();
    memory.close();
    CHECK(memory.buf().empty());
    CHECK(memory.fileno() == -1);
    CHECK(is_filled(copy));
  }
  CHECK(support::what_is_left_since(before).empty());
}

TEST_CASE("bytes are seen as what they are", "[shared_memory]") {
  SharedMemory const memory({.create = true, .size = 4 * sizeof(double) + 3});
  CHECK(memory.as<double>().size() == 4);
  memory.as<double>()[3] = 2.5;
  CHECK(memory.as<double>()[3] == 2.5);
}

TEMPLATE_TEST_CASE("a child writes what the parent reads", "[shared_memory]", ByFork, BySpawn,
                   ByForkServer) {
  Named const named;
  SharedMemory const nameless({.create = true, .size = 100});
  CHECK(TestType::run(fill, named.memory).exitcode() == 0);
  CHECK(TestType::run(fill, nameless).exitcode() == 0);
  CHECK(is_filled(named.memory));
  CHECK(is_filled(nameless));
  CHECK(is_there(named.name));  // no tracker, no child removes it
}

TEST_CASE("it goes in messages, and stays as long as anybody has it", "[shared_memory]") {
  mp::Queue<SharedMemory> queue;
  {
    SharedMemory const memory({.create = true, .size = 100});
    queue.put(memory);
    fill(memory);
  }
  auto const arrived = queue.get();
  CHECK(is_filled(arrived));
  SharedMemory const closed = [] {
    SharedMemory memory({.create = true, .size = 1});
    memory.close();
    return memory;
  }();
  CHECK(support::message_of<std::logic_error>([&] { queue.put(closed); }) ==
        "a SharedMemory that is sent: it has been closed");
}

TEST_CASE("bytes carry its name, and only that one", "[shared_memory]") {
  Named const made;
  auto const bytes = mp::dumps(made.memory);
  CHECK(mp::loads<SharedMemory>(bytes) == made.memory);
  made.memory.unlink();
  auto const load = [&] { static_cast<void>(mp::loads<SharedMemory>(bytes)); };
  CHECK(error_of(load) == std::errc::no_such_file_or_directory);
  SharedMemory const other({.name = made.name, .create = true, .size = 5000});
  CHECK(error_of(load) == std::errc::no_such_file_or_directory);
  CHECK_THROWS_AS(mp::dumps(SharedMemory({.create = true, .size = 1})), mp::PicklingError);
}

TEST_CASE("whoever has made it makes it larger", "[shared_memory]") {
  Named made;
  fill(made.memory);
  auto const copy = made.memory;
  SharedMemory const attached({.name = made.name});
  made.memory.resize(1'000'000);
  CHECK(made.memory.size() == 1'000'000);
  CHECK(copy.size() == 1'000'000);
  CHECK(std::ranges::count(copy.buf(), std::byte{7}) == 5000);
  CHECK(SharedMemory({.name = made.name}).size() == 1'000'000);
  CHECK(attached.size() == 5000);
  CHECK(attached.remap());
  CHECK_FALSE(attached.remap());
  CHECK(attached.size() == 1'000'000);
  made.memory.resize(1'000'000);
  CHECK(support::message_of<std::invalid_argument>([&] { made.memory.resize(10); }) ==
        "SharedMemory.resize: 10 bytes are less than the 1000000 that it has, which others may "
        "have mapped");
  CHECK_THROWS_AS(SharedMemory({.name = made.name}).resize(2'000'000), std::logic_error);
  CHECK_THROWS_AS(made.memory.resize(std::size_t{1} << 50), std::bad_alloc);
  CHECK(made.memory.size() == 1'000'000);
  CHECK(SharedMemory({.name = made.name}).size() == 1'000'000);
  made.memory.close();
  CHECK_THROWS_AS(made.memory.resize(2'000'000), std::logic_error);
  CHECK_THROWS_AS(made.memory.remap(), std::logic_error);
}

TEST_CASE("a forked copy of its maker is another who has it", "[shared_memory]") {
  Named made;
  SharedMemory nameless({.create = true, .size = 100});
  auto named = made.memory;
  support::Pipe grown;
  support::RawChild child([&] {
    grown.hear();
    int refused = 0;
    for (auto* const memory : {&named, &nameless}) {
      try {
        memory->resize(6000);
      } catch (std::logic_error const&) {
        ++refused;
      }
    }
    return refused == 2 ? 0 : 1;
  });
  for (auto* const memory : {&named, &nameless}) {
    memory->resize(1'000'000);
    fill(*memory);
  }
  grown.tell();
  CHECK(child.wait() == 0);
  CHECK(is_filled(named));
  CHECK(is_filled(nameless));
}

TEST_CASE("what somebody else has made larger is not made smaller", "[shared_memory]") {
  Named made;
  REQUIRE(::ftruncate(made.memory.fileno(), 10'000) == 0);
  CHECK_THROWS_AS(made.memory.resize(6'000), std::invalid_argument);
  made.memory.resize(10'000);
  CHECK(made.memory.size() == 10'000);
}

TEST_CASE("what others have made gets its pages when it is attached to", "[shared_memory]") {
  auto const name = unused_name();
  mp::os::Fd const file(::open(("/dev/shm/" + name).c_str(), O_CREAT | O_RDWR, 0600));
  REQUIRE(::ftruncate(file.get(), 100'000) == 0);  // as Python does
  CHECK(mp::os::allocated_size(file) == 0);
  SharedMemory const attached({.name = name});
  CHECK(mp::os::allocated_size(file) >= 100'000);
  REQUIRE(::ftruncate(file.get(), 200'000) == 0);
  CHECK(attached.remap());
  CHECK(mp::os::allocated_size(file) >= 200'000);
  attached.unlink();
}

TEST_CASE("what has no name grows, too", "[shared_memory]") {
  SharedMemory memory({.create = true, .size = 100});
  mp::Queue<SharedMemory> queue;
  queue.put(memory);
  auto const arrived = queue.get();
  memory.resize(10'000);
  CHECK(arrived.remap());
  CHECK(arrived.size() == 10'000);
  CHECK(::ftruncate(arrived.fileno(), 1) == -1);  // nobody pulls it away
}

TEST_CASE("a name is there, whole or not at all, at whichever step its maker is killed",
          "[shared_memory]") {
  struct Make : support::Scene {
    std::string name = unused_name();
    void victim() {
      SharedMemory const made({.name = name, .create = true, .size = 4096},
                              [](auto bytes) { std::ranges::fill(bytes, std::byte{7}); });
      for (;;) ::pause();
    }
    void check() {
      if (!is_there(name)) return;
      SharedMemory const left({.name = name});
      REQUIRE(left.size() == 4096);
      REQUIRE(is_filled(left));
      left.unlink();
    }
  };
  CHECK(support::kill_at_every_step(support::stride(1), [] { return Make(); }) > 1);
}

TEST_CASE("who attaches and is killed takes nothing along", "[shared_memory]") {
  Named const made;
  support::Pipe up;
  support::RawChild child([&] {
    SharedMemory const attached({.name = made.name});
    fill(attached);
    up.tell();
    ::pause();
  });
  up.hear();
  child.kill();
  child.wait();
  CHECK(is_there(made.name));
  CHECK(is_filled(made.memory));
}

namespace {
/// What a process logs that runs `body` and returns from it.
template <class Body>
std::string logged_by(Body const& body) {
  auto const [said, status] = support::stderr_of([&] {
    mp::log_to_stderr();
    mp::Process process([&] { body(); });
    process.start();
    process.join();
    return *process.exitcode();
  });
  CHECK(status == 0);
  return said;
}
}  // namespace

TEST_CASE("at its end a process tells of names that it leaves, once", "[shared_memory]") {
  auto const name = unused_name();
  auto const said = logged_by([&] {
    SharedMemory({.name = name, .create = true, .size = 1});
    SharedMemory({.name = name + "\n", .create = true, .size = 1});
    SharedMemory({.name = name + "-gone", .create = true, .size = 1}).unlink();
  });
  auto const line = [&](std::string const& which) {
    return "] SharedMemory \"" + which + "\" is left: nobody has unlinked it\n";
  };
  auto const first = said.find(']');
  CHECK(said.substr(first, line(name).size()) == line(name));
  CHECK(said.substr(said.rfind(']')) == line(name + "\\n"));
  CHECK(std::ranges::count(said, '\n') == 2);
  SharedMemory({.name = name}).unlink();
  SharedMemory({.name = name + "\n"}).unlink();
}

TEST_CASE("a copy of a process tells of its own names only", "[shared_memory]") {
  auto const name = unused_name();
  auto const said = logged_by([&] {
    SharedMemory const made({.name = name, .create = true, .size = 1});
    pid_t const child = ::fork();
    if (child == 0) std::exit(0);
    int status = 0;
    ::waitpid(child, &status, 0);
    made.unlink();
  });
  CHECK(said.empty());
}

TEST_CASE("a fork in the middle of making names keeps nobody from making others",
          "[shared_memory]") {
  if (support::kSanitized) return;  // their allocators may be locked at a fork
  auto const name = unused_name();
  std::atomic<bool> over{false};
  std::jthread maker([&] {
    while (!over) SharedMemory({.name = name, .create = true, .size = 1}).unlink();
  });
  for (int round = 0; round < 50; ++round) {
    support::RawChild child(
        [&] { SharedMemory({.name = name + "-child", .create = true, .size = 1}).unlink(); });
    REQUIRE(child.wait() == 0);
  }
  over = true;
}

}  // namespace shared_memory_test
