// SPDX-License-Identifier: BSL-1.0

#include <multiprocessing/launch/identity.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace identity_test {

namespace launch = multiprocessing::launch;

TEST_CASE("children are numbered below their parent", "[identity]") {
  support::RawChild child([] {  // a process whose own children are not counted yet
    launch::identity().children_started = 0;
    auto const first = launch::new_child_identity();
    auto const second = launch::new_child_identity();
    if (first->name != "Process-1" || second->name != "Process-2") return 1;
    if (second->parent_pid != ::getpid() || second->parent_name != "MainProcess") return 2;
    launch::become(*second);
    auto const grandchild = launch::new_child_identity();
    if (grandchild->name != "Process-2:1" || grandchild->parent_name != "Process-2") return 3;
    return 0;
  });
  CHECK(WEXITSTATUS(child.wait()) == 0);
}

TEST_CASE("a child is another incarnation, even with the same pid", "[identity]") {
  support::RawChild child([] {
    auto const before = launch::this_incarnation();
    launch::become(*launch::new_child_identity());  // as after a fork that got the same pid again
    return launch::this_incarnation() == before ? 1 : 0;
  });
  CHECK(child.wait() == 0);
  CHECK(launch::this_incarnation() == launch::this_incarnation());
}

}  // namespace identity_test
