// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/channel/spelling.hpp>

#include <deque>
#include <numeric>
#include <string>
#include <vector>

#include <multiprocessing/errors.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace spelling_test {

namespace mp = multiprocessing;
using mp::base::Deadline;
using namespace std::chrono_literals;

namespace {

/// Two items fit. Never blocks; says what it was asked.
class Box : public mp::channel::Puts<Box, int>, public mp::channel::Gets<Box, int> {
 public:
  struct Asked {
    std::string verb;
    Deadline deadline = Deadline::never();
  };
  Asked const& asked() const { return asked_; }

 private:
  friend mp::channel::Puts<Box, int>;
  friend mp::channel::Gets<Box, int>;

  static mp::channel::Call call(char const* verb) { return {"Box", verb}; }
  bool put_by(char const* verb, int item, Deadline deadline) const {
    asked_ = {verb, deadline};
    if (items_.size() == 2) return false;
    items_.push_back(item);
    return true;
  }
  std::optional<int> get_by(char const* verb, Deadline deadline) const {
    asked_ = {verb, deadline};
    if (items_.empty()) return std::nullopt;
    int const item = items_.front();
    items_.pop_front();
    return item;
  }
  bool get_next(std::optional<int>& item) const {
    return (item = get_by("next", Deadline::never())).has_value();
  }

  mutable std::deque<int> items_;
  mutable Asked asked_;
};

bool is_soon(Deadline deadline) {
  return !deadline.is_never() && deadline.time() < Deadline::after(1h).time();
}

}  // namespace

TEST_CASE("put in all spellings: what fits is put, what does not is told", "[spelling]") {
  Box const box;
  auto const tomorrow = std::chrono::system_clock::now() + 24h;
  box.put(1);
  CHECK(box.asked().verb == "put");
  CHECK(box.asked().deadline.is_never());
  CHECK(box.get() == 1);
  CHECK(box.asked().deadline.is_never());
  box.put(2, 1s);
  CHECK(is_soon(box.asked().deadline));
  CHECK(box.get(1s) == 2);
  CHECK(is_soon(box.asked().deadline));
  box.put_nowait(3);
  CHECK(box.asked().deadline.passed());
  CHECK(box.get_nowait() == 3);
  CHECK(box.asked().deadline.passed());
  CHECK(box.try_put(4));
  CHECK(box.try_get() == 4);
  CHECK(box.put_for(5, 1s));
  CHECK(box.get_for(1s) == 5);
  CHECK(box.put_until(6, tomorrow));
  CHECK_FALSE(box.asked().deadline.is_never());
  CHECK_FALSE(is_soon(box.asked().deadline));
  CHECK(box.get_until(tomorrow) == 6);
}

TEST_CASE("what is full or empty says so, in the words of who was called", "[spelling]") {
  Box const box;
  CHECK_THROWS_AS(box.get(1s), mp::Empty);
  CHECK(support::message_of<mp::Empty>([&] { box.get_nowait(); }).find("Box.get_nowait") !=
        std::string::npos);
  CHECK(box.try_get() == std::nullopt);
  CHECK(box.get_for(1s) == std::nullopt);
  CHECK(box.get_until(std::chrono::steady_clock::now()) == std::nullopt);
  box.put(1);
  box.put(2);
  CHECK_THROWS_AS(box.put(3, 1s), mp::Full);
  CHECK(support::message_of<mp::Full>([&] { box.put_nowait(3); }).find("Box.put_nowait") !=
        std::string::npos);
  CHECK_FALSE(box.try_put(3));
  CHECK_FALSE(box.put_for(3, 1s));
  CHECK_FALSE(box.put_until(3, std::chrono::steady_clock::now()));
}

TEST_CASE("a loop gets until there is no more", "[spelling]") {
  Box const box;
  for (int const item : box) FAIL(item);
  box.put(1);
  box.put(2);
  std::vector<int> got;
  for (int& item : box) got.push_back(item);
  CHECK(got == std::vector{1, 2});
  box.put(3);
  CHECK(*box.begin() == 3);
}

}  // namespace spelling_test
