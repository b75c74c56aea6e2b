// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/launch/child_setup.hpp>

#include <unistd.h>

#include <cstdlib>
#include <string>
#include <system_error>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/leftovers.hpp"

namespace launch = multiprocessing::launch;
namespace mp = multiprocessing;

namespace child_setup_test {

TEST_CASE("without options nothing is set up", "[child_setup]") {
  CHECK(launch::ChildSetup().is_empty());
  launch::ChildSetup changed;
  changed.nice = 0;
  CHECK_FALSE(changed.is_empty());
  CHECK(launch::ChildFds({}, false).present() == 0);
}

TEST_CASE("descriptors keep their places on the way", "[child_setup]") {
  auto const before = support::open_fds();
  {
    launch::ChildFds const fds({mp::Stream::null(), mp::Stream(), mp::Stream::pipe()}, false);
    CHECK(fds.present() == 0b101);
    REQUIRE(fds.numbers().size() == 2);
    std::vector<mp::os::Fd> received;
    for (int const fd : fds.numbers()) received.emplace_back(::dup(fd));
    launch::ChildFds const arrived(fds.present(), std::move(received));
    CHECK(arrived.present() == 0b101);
    auto const& pipes = fds.pipes()->ends;
    CHECK(::write(arrived[2].get(), "x", 1) == 1);
    char got = 0;
    CHECK(::read(pipes[2].get(), &got, 1) == 1);
    CHECK(got == 'x');
  }
  CHECK(support::open_fds() == before);
}

TEST_CASE("what can not be set names the call and the value", "[child_setup]") {
  support::RawChild child([] {
    launch::ChildSetup setup;
    setup.cwd = "/nowhere";
    try {
      launch::apply(setup, launch::ChildFds({}, false));
    } catch (std::system_error const& error) {
      return std::string(error.what()).find("chdir(/nowhere)") == 0 ? 0 : 1;
    }
    return 2;
  });
  CHECK(child.wait() == 0);
}

}  // namespace child_setup_test
