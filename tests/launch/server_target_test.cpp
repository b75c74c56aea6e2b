// SPDX-License-Identifier: BSL-1.0
// That a server runs its preload before it forks is shown by fork_server_test.cpp.
#include <multiprocessing/launch/server_target.hpp>

#include <multiprocessing/launch/fork_server.hpp>

#include <utility>

#include "../support/catch.hpp"

namespace server_target_test {

namespace launch = multiprocessing::launch;
namespace wire = multiprocessing::wire;

TEST_CASE("what a server is to do first arrives there, and it keeps its socket",
          "[server_target]") {
  launch::ServerTarget<void (*)()> const plain([] {});
  launch::CallTarget<void (*)()> const call(std::in_place, [] {});
  CHECK(plain.wants_socket());
  CHECK(!call.wants_socket());
  wire::Bytes bytes;
  wire::Parcel parcel;
  plain.save(bytes, parcel);
  CHECK(launch::read_target(bytes, parcel)->wants_socket());
}

}  // namespace server_target_test
