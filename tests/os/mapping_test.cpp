// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/mapping.hpp>

#include <multiprocessing/os/memfd.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace mapping_test {

namespace os = multiprocessing::os;

TEST_CASE("two mappings of one memfd show the same bytes, also across fork", "[mapping]") {
  auto const fd = os::create_memfd("test");
  os::fix_size(fd, 8192);
  os::Mapping const first(fd, 8192);
  os::Mapping const second(fd, 8192);
  REQUIRE(first.data() != second.data());
  support::RawChild child([&] {
    first.data()[5000] = std::byte{42};
    return 0;
  });
  child.wait();
  CHECK(second.data()[5000] == std::byte{42});
}

TEST_CASE("a reservation of addresses takes no memory", "[mapping]") {
  auto const fd = os::create_memfd("test");
  os::Mapping const mapping(fd, std::size_t{1} << 36);
  CHECK(mapping.size() == std::size_t{1} << 36);
}

TEST_CASE("a mapping of more addresses than there are says so", "[mapping]") {
  auto const fd = os::create_memfd("test");
  auto const text = support::message_of<std::system_error>(
      [&] { os::Mapping const mapping(fd, std::size_t{1} << 60); });
  CHECK_THAT(text, ContainsSubstring("mmap(memfd)"));
}

}  // namespace mapping_test
