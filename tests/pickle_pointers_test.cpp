// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/pickle.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/helpers.hpp"
#include "support/pickled.hpp"

namespace mp = multiprocessing;
using support::pickled;
using support::returns;

namespace pickle_pointers {

struct Point {
  int x = 0;
  int y = 0;
  bool operator==(Point const&) const = default;
};
struct Leaf {
  std::string text;
};
struct Diamond {
  std::shared_ptr<Leaf> left;
  std::shared_ptr<Leaf> right;
  std::vector<std::shared_ptr<Leaf>> all;
  std::shared_ptr<Leaf const> constant;
};
struct Node {
  std::string name;
  std::shared_ptr<Node> next;
  std::weak_ptr<Node> back;
};
struct First {
  int number = 0;
};
struct Whole {
  First first;
  std::string text;
};
struct Overlapping {
  std::shared_ptr<Whole> whole;
  std::shared_ptr<First> part;
};
struct Ring {
  std::shared_ptr<Node> begin;
  std::vector<std::weak_ptr<Node>> all;
};

class Shape {
 public:
  virtual ~Shape() = default;
  virtual double area() const = 0;
  template <class Archive>
  void serialize(Archive&) {}
};
class Circle : public Shape {
 public:
  Circle() = default;
  explicit Circle(double radius) : radius_(radius) {}
  double area() const override { return 3 * radius_ * radius_; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(cereal::base_class<Shape>(this), radius_);
  }

 private:
  double radius_ = 0;
};
class Named : public Shape {
 public:
  std::string name;
  double area() const override { return static_cast<double>(name.size()); }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(name);
  }
};
class LongNamed : public Named {
 public:
  int factor = 2;
  double area() const override { return factor * Named::area(); }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(cereal::base_class<Named>(this), factor);
  }
};
class Unknown : public Shape {
 public:
  double area() const override { return 0; }
  template <class Archive>
  void serialize(Archive&) {}
};
struct Drawing {
  std::unique_ptr<Shape> one;
  std::vector<std::shared_ptr<Shape>> more;
  std::shared_ptr<Named> named;
  std::weak_ptr<Shape> again;
};

}  // namespace pickle_pointers

CEREAL_REGISTER_TYPE(pickle_pointers::Circle)
CEREAL_REGISTER_TYPE(pickle_pointers::Named)
CEREAL_REGISTER_TYPE(pickle_pointers::LongNamed)
CEREAL_REGISTER_POLYMORPHIC_RELATION(pickle_pointers::Shape, pickle_pointers::Named)

namespace pickle_pointers {

TEST_CASE("owned objects arrive with their owners", "[pickle]") {
  CHECK(pickled(std::unique_ptr<int>()) == nullptr);
  CHECK(*pickled(std::make_unique<int>(7)) == 7);
  CHECK(*pickled(std::make_unique<Point>(Point{1, 2})) == Point{1, 2});
  CHECK(*pickled(std::make_unique<std::string>("text")) == "text");
  CHECK(**pickled(std::make_unique<std::unique_ptr<int>>(std::make_unique<int>(7))) == 7);
  CHECK(pickled(std::make_unique<Leaf>(Leaf{"text"}))->text == "text");
  CHECK(*pickled(std::make_unique<int const>(7)) == 7);
  std::vector<std::unique_ptr<std::string>> texts;
  texts.push_back(std::make_unique<std::string>("a"));
  texts.push_back(nullptr);
  auto const arrived = pickled(texts);
  REQUIRE(arrived.size() == 2);
  CHECK(*arrived[0] == "a");
  CHECK(arrived[1] == nullptr);
}

TEST_CASE("shared objects stay shared", "[pickle]") {
  Diamond diamond;
  diamond.left = diamond.right = std::make_shared<Leaf>(Leaf{"shared"});
  diamond.all = {diamond.left, nullptr, std::make_shared<Leaf>(Leaf{"own"}), diamond.left};
  diamond.all.push_back(diamond.all[2]);
  diamond.constant = diamond.left;
  auto const arrived = pickled(diamond);
  REQUIRE(arrived.left != nullptr);
  CHECK(arrived.left->text == "shared");
  CHECK(arrived.left == arrived.right);
  REQUIRE(arrived.all.size() == 5);
  CHECK(arrived.all[0] == arrived.left);
  CHECK(arrived.all[1] == nullptr);
  CHECK(arrived.all[2] != arrived.left);
  CHECK(arrived.all[2]->text == "own");
  CHECK(arrived.all[3] == arrived.left);
  CHECK(arrived.all[4] == arrived.all[2]);
  CHECK(arrived.constant == arrived.left);
  CHECK(arrived.left.use_count() == 5);
}

TEST_CASE("shared objects without an owner arrive as null", "[pickle]") {
  CHECK(pickled(std::shared_ptr<int>()) == nullptr);
  CHECK(*pickled(std::make_shared<int>(7)) == 7);
  CHECK(pickled(std::weak_ptr<int>()).expired());
  CHECK(pickled(std::weak_ptr<int>(std::make_shared<int>(7))).expired());
}

TEST_CASE("rings of shared objects arrive closed", "[pickle]") {
  Ring ring;
  ring.begin = std::make_shared<Node>();
  ring.begin->name = "a";
  ring.begin->next = std::make_shared<Node>();
  ring.begin->next->name = "b";
  ring.begin->next->next = ring.begin;
  ring.begin->back = ring.begin->next;
  ring.all = {ring.begin->next, ring.begin, std::weak_ptr<Node>()};
  auto const arrived = pickled(ring);
  CHECK(arrived.begin->name == "a");
  CHECK(arrived.begin->next->name == "b");
  CHECK(arrived.begin->next->next == arrived.begin);
  CHECK(arrived.begin->back.lock() == arrived.begin->next);
  REQUIRE(arrived.all.size() == 3);
  CHECK(arrived.all[0].lock() == arrived.begin->next);
  CHECK(arrived.all[1].lock() == arrived.begin);
  CHECK(arrived.all[2].expired());
  ring.begin->next->next.reset();
  arrived.begin->next->next.reset();
}

TEST_CASE("an object that owns itself arrives so", "[pickle]") {
  auto const self = std::make_shared<Node>();
  self->next = self;
  auto const arrived = pickled(self);
  CHECK(arrived->next == arrived);
  self->next.reset();
  arrived->next.reset();
}

TEST_CASE("an object and its first member are two objects", "[pickle]") {
  Overlapping both;
  both.whole = std::make_shared<Whole>(Whole{{7}, "text"});
  both.part = std::shared_ptr<First>(both.whole, &both.whole->first);
  REQUIRE(static_cast<void*>(both.whole.get()) == both.part.get());
  auto const arrived = pickled(both);
  CHECK(arrived.whole->first.number == 7);
  CHECK(arrived.whole->text == "text");
  CHECK(arrived.part->number == 7);
}

TEST_CASE("registered classes arrive as what they are", "[pickle]") {
  std::unique_ptr<Shape> const circle = std::make_unique<Circle>(2);
  auto const arrived = pickled(circle);
  CHECK(dynamic_cast<Circle*>(arrived.get()) != nullptr);
  CHECK(arrived->area() == circle->area());
  CHECK(pickled(std::unique_ptr<Shape>()) == nullptr);
  CHECK(pickled(std::shared_ptr<Shape>()) == nullptr);
}

TEST_CASE("registered classes stay shared whatever they are pointed to as", "[pickle]") {
  Drawing drawing;
  drawing.one = std::make_unique<Circle>(1);
  auto const named = std::make_shared<LongNamed>();
  named->name = "abc";
  named->factor = 3;
  drawing.named = named;
  drawing.more = {std::make_shared<Circle>(2), named, nullptr, std::make_shared<Named>(), named};
  drawing.again = drawing.more[0];
  auto const arrived = pickled(drawing);
  CHECK(arrived.one->area() == 3);
  REQUIRE(arrived.more.size() == 5);
  CHECK(arrived.more[0]->area() == 12);
  CHECK(arrived.more[1]->area() == 9);
  CHECK(arrived.more[2] == nullptr);
  CHECK(dynamic_cast<LongNamed*>(arrived.named.get()) != nullptr);
  CHECK(arrived.more[1] == arrived.named);
  CHECK(arrived.more[4] == arrived.named);
  CHECK(arrived.again.lock() == arrived.more[0]);
}

TEST_CASE("a base that is no abstract class arrives as itself or as a derived one", "[pickle]") {
  auto own = std::make_unique<Named>();
  own->name = "own";
  CHECK(pickled(own)->area() == 3);
  std::unique_ptr<Named> derived = std::make_unique<LongNamed>();
  derived->name = "abc";
  auto const arrived = pickled(derived);
  CHECK(dynamic_cast<LongNamed*>(arrived.get()) != nullptr);
  CHECK(arrived->area() == 6);
}

TEST_CASE("a class that is not registered is refused by its name", "[pickle]") {
  std::unique_ptr<Shape> const unique = std::make_unique<Unknown>();
  std::shared_ptr<Shape> const shared = std::make_shared<Unknown>();
  for (auto const& text :
       {support::message_of<mp::PicklingError>([&] { (void)mp::dumps(unique); }),
        support::message_of<mp::PicklingError>([&] { (void)mp::dumps(shared); })}) {
    CHECK_THAT(text, ContainsSubstring("pickle_pointers::Unknown"));
    CHECK(text.find('\n') == std::string::npos);
  }
}

// Classes with cereal's functions.

class Member {
 public:
  Member() = default;
  Member(int number, std::string text) : number_(number), text_(std::move(text)) {}
  bool operator==(Member const&) const = default;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(number_), cereal::make_nvp("text", text_));
  }

 private:
  int number_ = 0;
  std::string text_;
};
struct Free {
  int kept = 0;
  int dropped = 0;
};
template <class Archive>
void serialize(Archive& archive, Free& free) {
  archive(free.kept);
}
class Split {
 public:
  int number = 0;
  template <class Archive>
  void save(Archive& archive) const {
    archive(std::to_string(number));
  }
  template <class Archive>
  void load(Archive& archive) {
    std::string text;
    archive(text);
    number = std::stoi(text);
  }
};
class Secret {
 public:
  static Secret of(int number) {
    Secret secret;
    secret.number_ = number;
    return secret;
  }
  int number() const { return number_; }

 private:
  friend class cereal::access;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(number_, text_);
  }
  int number_ = 0;
  std::string text_;
};
class Account {
 public:
  explicit Account(std::string owner) : owner_(std::move(owner)) {}
  std::string const& owner() const { return owner_; }
  int balance = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(owner_, balance);
  }
  template <class Archive>
  static void load_and_construct(Archive& archive, cereal::construct<Account>& construct) {
    std::string owner;
    int balance = 0;
    archive(owner, balance);
    construct(owner);
    construct->balance = balance;
  }

 private:
  std::string owner_;
};
struct Bank {
  std::unique_ptr<Account> first;
  std::shared_ptr<Account> second;
  std::shared_ptr<Account> third;
};
struct Versioned {
  int number = 0;
  std::uint32_t seen = 0;
  template <class Archive>
  void serialize(Archive& archive, std::uint32_t version) {
    archive(number);
    seen = version;
  }
};
class MoveOnly {
 public:
  MoveOnly() = default;
  explicit MoveOnly(int number) : number_(std::make_unique<int>(number)) {}
  int number() const { return *number_; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(number_);
  }

 private:
  std::unique_ptr<int> number_;
};
struct HoldsMoveOnly {
  MoveOnly one;
  std::string text;
  std::vector<MoveOnly> more;
};

TEST_CASE("classes arrive as their serialize says", "[pickle]") {
  CHECK(returns(Member(7, "text")));
  CHECK(returns(std::vector<Member>{{1, "a"}, {2, "b"}}));
  CHECK(pickled(Secret::of(7)).number() == 7);
}

TEST_CASE("classes arrive as the functions beside them say", "[pickle]") {
  auto const free = pickled(Free{1, 2});
  CHECK(free.kept == 1);
  CHECK(free.dropped == 0);
  CHECK(pickled(std::vector<Free>{{1, 2}, {3, 4}})[1].kept == 3);
  CHECK(pickled(std::vector<Free>{{1, 2}, {3, 4}})[1].dropped == 0);
}

TEST_CASE("classes arrive as their save and load say", "[pickle]") {
  Split split;
  split.number = 1234;
  CHECK(pickled(split).number == 1234);
}

TEST_CASE("classes with load_and_construct arrive in smart pointers", "[pickle]") {
  Bank bank;
  bank.first = std::make_unique<Account>("a");
  bank.first->balance = 7;
  bank.second = bank.third = std::make_shared<Account>("b");
  auto const arrived = pickled(bank);
  CHECK(arrived.first->owner() == "a");
  CHECK(arrived.first->balance == 7);
  CHECK(arrived.second->owner() == "b");
  CHECK(arrived.second == arrived.third);
  CHECK(pickled(std::unique_ptr<Account>()) == nullptr);
  CHECK(pickled(std::shared_ptr<Account>()) == nullptr);
}

TEST_CASE("move-only types arrive", "[pickle]") {
  CHECK(pickled(MoveOnly(7)).number() == 7);
  HoldsMoveOnly holder{MoveOnly(1), "text", {}};
  holder.more.emplace_back(2);
  auto const arrived = pickled(holder);
  CHECK(arrived.one.number() == 1);
  CHECK(arrived.more[0].number() == 2);
}

}  // namespace pickle_pointers

CEREAL_CLASS_VERSION(pickle_pointers::Versioned, 3)

namespace pickle_pointers {

TEST_CASE("the version of a class is told in every message", "[pickle]") {
  std::vector<Versioned> two(2);
  two[1].number = 7;
  for (int message = 0; message < 2; ++message) {
    CHECK(pickled(two)[0].seen == 3);
    CHECK(pickled(two)[1].seen == 3);
    CHECK(pickled(two)[1].number == 7);
  }
  mp::Bytes bytes;
  mp::wire::encode(bytes, two[1]);
  mp::wire::encode(bytes, two[1]);
  std::span<std::byte const> rest(bytes);
  for (int message = 0; message < 2; ++message) {
    auto const arrived = mp::wire::decode<Versioned>(rest);
    CHECK(arrived.seen == 3);
    CHECK(arrived.number == 7);
  }
  CHECK(rest.empty());
}

}  // namespace pickle_pointers
