// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/channel/audience.hpp>

#include <array>
#include <memory>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace audience_test {

using multiprocessing::channel::Audience;
namespace shm = multiprocessing::shm;
namespace mp = multiprocessing;

namespace {

struct Nothing {};
auto make() { return std::make_unique<shm::Shared<Nothing>>(shm::Shared<Nothing>::make(0)); }

}  // namespace

TEST_CASE("who holds a block is there, until it lets go", "[audience]") {
  auto object = make();
  Audience const audience(object->id());
  CHECK(audience.block() == object->id());
  CHECK(audience.is_there());
  CHECK(audience.is_there());
  mp::sync::PeerList peers;
  auto const others = audience.watch(peers);
  CHECK(others.is_empty);
  CHECK(others.can_be_watched);
  object.reset();
  CHECK_FALSE(audience.is_there());
}

TEST_CASE("another process is there until it is killed, and can be watched", "[audience]") {
  auto object = make();
  Audience const audience(object->id());
  support::Pipe ready;
  std::vector<std::unique_ptr<support::RawChild>> children;
  for (int i = 0; i < 2; ++i) {
    children.push_back(std::make_unique<support::RawChild>([&] {
      ready.tell();
      for (;;) ::pause();
    }));
    ready.hear();
  }
  {
    mp::sync::PeerList peers;
    auto const others = audience.watch(peers);
    CHECK_FALSE(others.is_empty);
    CHECK(others.can_be_watched);
    CHECK(mp::sync::Peers(peers).size() == 2);
  }
  object.reset();
  for (auto& child : children) {
    CHECK(audience.is_there());
    child->kill();
    child->wait();
  }
  CHECK_FALSE(audience.is_there());
  mp::sync::PeerList peers;
  CHECK(audience.watch(peers).is_empty);
}

TEST_CASE("a message that only a killed process had keeps nobody waiting", "[audience]") {
  auto object = make();
  Audience const audience(object->id());
  support::Pipe ready;
  support::RawChild child([&] {
    shm::Lease const envelope(shm::Arena::references_size(1));
    shm::Heap::instance().arena().refer(envelope.block(), std::array{object->lease()->block()});
    ready.tell();
    for (;;) ::pause();
  });
  ready.hear();
  object.reset();
  mp::sync::PeerList peers;
  CHECK_FALSE(audience.watch(peers).can_be_watched);
  child.kill();
  child.wait();
  mp::sync::PeerList nobody;
  CHECK(audience.watch(nobody).is_empty);
  CHECK_FALSE(audience.is_there());
}

TEST_CASE("who takes the place of the dead is not taken for them", "[audience]") {
  auto object = make();
  Audience const audience(object->id());
  support::Pipe ready;
  auto const wait = [&] {
    ready.tell();
    for (;;) ::pause();
  };
  support::RawChild holder(wait);
  ready.hear();
  object.reset();
  CHECK(audience.is_there());
  holder.kill();
  holder.wait();
  support::RawChild other(wait);  // holds nothing
  ready.hear();
  CHECK_FALSE(audience.is_there());
}

}  // namespace audience_test
