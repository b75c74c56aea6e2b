// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/shm/segment.hpp>

#include <sys/resource.h>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace segment_test {

using multiprocessing::shm::Segment;
using multiprocessing::shm::SegmentHeader;
namespace os = multiprocessing::os;
namespace mp = multiprocessing;

namespace {
constexpr std::uint64_t kMegabyte = std::uint64_t{1} << 20;

os::Fd copy_of(os::Fd const& fd) { return os::Fd(::dup(fd.get())); }
}  // namespace

TEST_CASE("a segment that is attached to shows what its creator wrote", "[segment]") {
  Segment const segment("test", kMegabyte, kMegabyte);
  segment.commit({4096, 4096});
  *segment.at<int>(5000) = 42;
  auto const attached = Segment::attach(copy_of(segment.fd()));
  CHECK(attached.size() == kMegabyte);
  CHECK(attached.data(0) != segment.data(0));
  CHECK(*attached.at<int>(5000) == 42);
}

TEST_CASE("a segment takes less where it can not get what it wants", "[segment]") {
  if (support::kSanitized) return;  // can not run within a limit of addresses
  support::RawChild child([] {
    rlimit const limit{std::uint64_t{8} << 30, std::uint64_t{8} << 30};
    ::setrlimit(RLIMIT_AS, &limit);
    try {
      Segment const segment("test", std::uint64_t{1} << 40, kMegabyte);
      return segment.size() < std::uint64_t{8} << 30 && segment.size() >= kMegabyte ? 0 : 1;
    } catch (std::exception const&) {
      return 2;
    }
  });
  CHECK(WEXITSTATUS(child.wait()) == 0);
  CHECK_THROWS_AS(Segment("test", std::uint64_t{1} << 60, std::uint64_t{1} << 59),
                  std::system_error);
}

TEST_CASE("a limit on file sizes makes a segment smaller, or an exception, never a signal",
          "[segment]") {
  for (bool const enough : {true, false}) {
    support::RawChild child([=] {
      rlimit const limit{kMegabyte, kMegabyte};
      ::setrlimit(RLIMIT_FSIZE, &limit);
      try {
        Segment const segment("test", std::uint64_t{1} << 30, enough ? 4096 : 2 * kMegabyte);
        return segment.size() == kMegabyte && enough ? 0 : 1;
      } catch (std::system_error const& error) {
        return error.code() == std::errc::file_too_large && !enough ? 0 : 2;
      }
    });
    CHECK(child.wait() == 0);
  }
}

TEST_CASE("what is no segment, or a damaged one, is refused with the reason", "[segment]") {
  auto const refusal = [](os::Fd fd) {
    return support::message_of<mp::Error>([&] { Segment::attach(std::move(fd)); });
  };
  CHECK_THAT(refusal(os::create_memfd("empty")), ContainsSubstring("not a shared segment"));

  Segment const segment("test", kMegabyte, kMegabyte);
  auto& header = *segment.at<SegmentHeader>(0);
  auto const good = header;
  header.magic ^= 1;
  CHECK_THAT(refusal(copy_of(segment.fd())), ContainsSubstring("not a shared segment"));
  header = good;
  header.version = 99;
  CHECK_THAT(refusal(copy_of(segment.fd())), ContainsSubstring("layout version 99"));
  header = good;
  header.size *= 2;
  CHECK_THAT(refusal(copy_of(segment.fd())), ContainsSubstring("size"));
  header = good;
  CHECK(Segment::attach(copy_of(segment.fd())).size() == kMegabyte);
}

TEST_CASE("discarded ranges read as zeros", "[segment]") {
  Segment const segment("test", kMegabyte, kMegabyte);
  segment.commit({8192, 8192});
  *segment.at<int>(8192) = 42;
  segment.discard({8192, 8192});
  CHECK(*segment.at<int>(8192) == 0);
}

}  // namespace segment_test
