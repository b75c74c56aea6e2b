// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/serve/session.hpp>

#include <memory>
#include <thread>
#include <vector>

#include <multiprocessing/errors.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace session_test {

namespace mp = multiprocessing;
using namespace multiprocessing::serve;

namespace {

Exposed exposed(std::shared_ptr<void> value) {
  auto object = std::make_shared<ExposedObject>();
  object->value = std::move(value);
  return {nullptr, std::move(object)};
}

}  // namespace

TEST_CASE("an object is there until it is removed", "[session]") {
  auto const value = std::make_shared<int>(5);
  Session session;
  auto const number = session.add(exposed(value));
  auto const other = session.add(exposed(value));
  CHECK(number != other);
  CHECK(session.at(number).object->value == value);
  session.remove(number);
  session.remove(number);
  CHECK(support::message_of<mp::Error>([&] { session.at(number); }) == "the object has gone");
  CHECK(session.at(other).object->value == value);
  CHECK(value.use_count() == 2);
}

TEST_CASE("an object may remove another when it is destroyed", "[session]") {
  Session session;
  auto const other = session.add(exposed(std::make_shared<int>(1)));
  auto const number =
      session.add(exposed(std::shared_ptr<void>(nullptr, [&](void*) { session.remove(other); })));
  session.remove(number);
  CHECK_THROWS_AS(session.at(other), mp::Error);
}

TEST_CASE("a session is joined by its key, as long as somebody has it", "[session]") {
  Sessions sessions;
  auto [key, session] = sessions.begin();
  auto const [other_key, other] = sessions.begin();
  CHECK(key != other_key);
  CHECK(sessions.join(key) == session);
  CHECK(sessions.join(other_key) == other);
  session.reset();
  CHECK(support::message_of<mp::Error>([&, its = key] { sessions.join(its); }) ==
        "the session has ended, and its objects have gone");
  CHECK_THROWS_AS(sessions.join(SessionKey{1, 2}), mp::Error);
}

TEST_CASE("threads use a session at once", "[session]") {
  Session session;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int k = 0; k < 1000; ++k) {
          auto const number = session.add(exposed(std::make_shared<int>(k)));
          if (*std::static_pointer_cast<int>(session.at(number).object->value) != k) std::abort();
          session.remove(number);
        }
      });
    }
  }
  CHECK_THROWS_AS(session.at(1), mp::Error);
}

}  // namespace session_test
