// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/serve/object_table.hpp>

#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <multiprocessing/errors.hpp>
#include <multiprocessing/shm/heap.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace object_table_test {

namespace mp = multiprocessing;
namespace shm = multiprocessing::shm;
using namespace multiprocessing::serve;

namespace {

/// Counts how many there are.
struct Counted {
  explicit Counted(int& alive) : count(&alive) { ++*count; }
  Counted(Counted const&) = delete;
  Counted& operator=(Counted const&) = delete;
  ~Counted() { --*count; }
  int* count;
};

}  // namespace

TEST_CASE("an object is found by its token, as what it is", "[object_table]") {
  ObjectTable table;
  auto const number = table.add(std::make_shared<Held<int>>(7));
  auto const text = table.add(std::make_shared<Held<std::string>>("seven"));
  CHECK(table.at(number.id())->as<int>() == 7);
  CHECK(table.at(text.id())->as<std::string>() == "seven");
  CHECK(support::message_of<mp::TypeError>([&] {
          table.at(text.id())->as<int>();
        }).find("Manager: the object is a std::") == 0);
  CHECK(support::message_of<mp::Error>([&] { table.at(1); }) == "Manager: the object has gone");
}

TEST_CASE("an object goes with its token, when that is noticed", "[object_table]") {
  int alive = 0;
  ObjectTable table;
  std::optional token = table.add(std::make_shared<Held<Counted>>(alive));
  auto const id = token->id();
  table.forget(id);
  CHECK(alive == 1);  // it is there
  token.reset();
  CHECK(alive == 1);
  table.forget(id);
  CHECK(alive == 0);
  CHECK(table.size() == 0);
  table.forget(id);
}

TEST_CASE("to add objects is enough to notice", "[object_table]") {
  int alive = 0;
  ObjectTable table;
  for (int i = 0; i < 1000; ++i) table.add(std::make_shared<Held<Counted>>(alive));
  CHECK(alive < 5);
}

TEST_CASE("those that somebody has stay, whatever goes around them", "[object_table]") {
  int alive = 0;
  ObjectTable table;
  std::vector<shm::Shared<Token>> kept;
  for (int i = 0; i < 100; ++i) {
    auto const token = table.add(std::make_shared<Held<Counted>>(alive));
    if (i % 3 == 0) kept.push_back(token);
  }
  table.sweep_all();
  table.sweep_all();
  CHECK(alive == static_cast<int>(kept.size()));
  for (auto const& token : kept) CHECK(table.at(token.id()) != nullptr);
  table.clear();
  CHECK(alive == 0);
}

TEST_CASE("an object that only a killed process had goes", "[object_table]") {
  int alive = 0;
  ObjectTable table;
  support::Pipe up;
  std::optional token = table.add(std::make_shared<Held<Counted>>(alive));
  auto const id = token->id();
  support::RawChild child([&] {
    up.tell();
    ::pause();
  });
  up.hear();
  token.reset();
  table.forget(id);
  CHECK(alive == 1);  // the child has it
  child.kill();
  child.wait();
  shm::Heap::instance().arena().bury_the_dead();
  table.forget(id);
  CHECK(alive == 0);
}

TEST_CASE("to make objects is enough to notice the death of who had others", "[object_table]") {
  int alive = 0;
  ObjectTable table;
  std::vector<shm::Shared<Token>> tokens;
  for (int i = 0; i < 20; ++i) tokens.push_back(table.add(std::make_shared<Held<Counted>>(alive)));
  support::Pipe up;
  support::RawChild child([&] {
    up.tell();
    ::pause();
  });
  up.hear();
  tokens.clear();
  table.sweep_all();
  CHECK(alive == 20);
  child.kill();
  child.wait();
  for (int i = 0; i < 200; ++i) table.add(std::make_shared<Held<int>>(i));
  CHECK(alive == 0);
}

TEST_CASE("an object that has others takes them along", "[object_table]") {
  int alive = 0;
  ObjectTable table;
  struct Owner {
    Owner(ObjectTable& its, shm::Shared<Token> const& other) : table(&its), token(other) {}
    Owner(Owner const&) = delete;
    Owner& operator=(Owner const&) = delete;
    ~Owner() {
      auto const id = token->id();
      token.reset();
      table->forget(id);
    }
    ObjectTable* table;
    std::optional<shm::Shared<Token>> token;
  };
  {
    auto const inner = table.add(std::make_shared<Held<Counted>>(alive));
    table.add(std::make_shared<Held<Owner>>(table, inner));
  }
  table.sweep_all();
  CHECK(alive == 0);
  CHECK(table.size() == 0);
}

}  // namespace object_table_test
