// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/shared_memory_manager.hpp>

#include <unistd.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>

#include "support/catch.hpp"
#include "support/helpers.hpp"
#include "support/leftovers.hpp"
#include "support/memory_name.hpp"

namespace shared_memory_manager_test {

namespace mp = multiprocessing;
using support::is_there;
using support::unused_name;

TEST_CASE("names go with the scope, and memory stays with who has it", "[shared_memory_manager]") {
  auto const name = unused_name();
  std::optional<mp::SharedMemory> kept;
  {
    mp::SharedMemoryManager manager;
    kept = manager.SharedMemory(100, name);
    auto const list = manager.ShareableList({1, "text"}, name + "-list");
    CHECK(mp::SharedMemory({.name = name}) == *kept);
    CHECK(mp::ShareableList({.name = name + "-list"})[1] == "text");
  }
  CHECK_FALSE(is_there(name));
  CHECK_FALSE(is_there(name + "-list"));
  kept->buf()[99] = std::byte{1};
}

TEST_CASE("without a name there is none", "[shared_memory_manager]") {
  auto const before = support::Holdings::now();
  mp::SharedMemoryManager manager;
  auto const memory = manager.SharedMemory(100);
  auto const list = manager.ShareableList({1, 2});
  CHECK((memory.size() == 100 && list.size() == 2));
  CHECK(support::Holdings::now().shared_memory == before.shared_memory);
}

TEST_CASE("after its end it makes nothing", "[shared_memory_manager]") {
  mp::SharedMemoryManager manager;
  manager.shutdown();
  manager.shutdown();
  CHECK(support::message_of<std::logic_error>([&] { manager.SharedMemory(1); }) ==
        "SharedMemoryManager: it has been shut down");
  CHECK_THROWS_AS(manager.ShareableList({1}), std::logic_error);
}

TEST_CASE("what has been unlinked already, or is another's by now, is passed over",
          "[shared_memory_manager]") {
  auto const name = unused_name();
  mp::SharedMemoryManager manager;
  manager.SharedMemory(1, name).unlink();
  mp::SharedMemory const other({.name = name, .create = true, .size = 1});
  manager.shutdown();
  CHECK(is_there(name));
  other.unlink();
}

TEST_CASE("a forked copy takes nothing away", "[shared_memory_manager]") {
  auto const name = unused_name();
  mp::SharedMemoryManager manager;
  manager.SharedMemory(1, name);
  support::RawChild child([&] {
    manager.shutdown();
    try {
      manager.SharedMemory(1);
      return 1;
    } catch (std::logic_error const&) {
      return 0;
    }
  });
  CHECK(child.wait() == 0);
  CHECK(is_there(name));
}

TEST_CASE("what can not be made is told, and not remembered", "[shared_memory_manager]") {
  auto const name = unused_name();
  mp::SharedMemoryManager manager;
  CHECK_THROWS_AS(manager.SharedMemory(0), std::invalid_argument);
  auto const memory = manager.SharedMemory(1, name);
  CHECK_THROWS_AS(manager.SharedMemory(1, name), std::system_error);
}

}  // namespace shared_memory_manager_test
