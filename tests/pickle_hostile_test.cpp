// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/pickle.hpp>

#include <array>
#include <bitset>
#include <chrono>
#include <complex>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <forward_list>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <valarray>
#include <variant>
#include <vector>

#include "support/catch.hpp"
#include "support/helpers.hpp"
#include "support/pickled.hpp"

namespace mp = multiprocessing;
using support::message_with;

namespace pickle_hostile {

class Beast {
 public:
  Beast() { ++living; }
  Beast(Beast const&) = delete;
  Beast& operator=(Beast const&) = delete;
  virtual ~Beast() { --living; }
  virtual int legs() const = 0;
  template <class Archive>
  void serialize(Archive&) {}

  inline static int living = 0;
};
class Dog : public Beast {
 public:
  std::string name;
  int legs() const override { return 4; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(cereal::base_class<Beast>(this), name);
  }
};
class Tool {
 public:
  virtual ~Tool() = default;
  virtual int weight() const = 0;
  template <class Archive>
  void serialize(Archive&) {}
};
class Hammer : public Tool {
 public:
  int weight() const override { return 1; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(cereal::base_class<Tool>(this));
  }
};

}  // namespace pickle_hostile

CEREAL_REGISTER_TYPE(pickle_hostile::Dog)
CEREAL_REGISTER_TYPE(pickle_hostile::Hammer)

namespace pickle_hostile {

int twice(int x) { return 2 * x; }

enum class Color : std::uint8_t { Red, Green };
struct Holes {
  char a = 1;
  int b = 2;
  bool c = true;
};
struct Leaf {
  std::string text = "leaf";
};
class Constructed {
 public:
  explicit Constructed(int number) : number_(number) {}
  template <class Archive>
  void serialize(Archive& archive) {
    archive(number_);
  }
  template <class Archive>
  static void load_and_construct(Archive& archive, cereal::construct<Constructed>& construct) {
    int number = 0;
    archive(number);
    construct(number);
  }

 private:
  int number_;
};
struct Everything {
  int number = 1;
  long double real = 2.5;
  bool flag = true;
  Color color = Color::Green;
  std::string text = "text";
  std::u32string wide = U"wide";
  std::vector<double> numbers = {1, 2};
  std::vector<bool> flags = {true, false, true};
  std::vector<std::string> texts = {"a", "bc"};
  std::vector<Holes> holes = {{}, {}};
  std::deque<int> deque = {1, 2};
  std::list<std::string> list = {"x"};
  std::forward_list<int> forward_list = {1};
  std::array<short, 3> array = {1, 2, 3};
  std::array<bool, 2> bools = {true, false};
  std::array<std::string, 2> text_array = {"p", "q"};
  std::set<int> set = {1, 2};
  std::map<std::string, int> map = {{"a", 1}, {"b", 2}};
  std::unordered_map<int, std::string> hashed = {{1, "one"}};
  std::queue<int> queue = std::queue<int>({1, 2});
  std::optional<std::string> maybe = "maybe";
  std::variant<std::monostate, int, std::string> either = "either";
  std::tuple<char, std::string> tuple = {'t', "u"};
  std::bitset<100> bits = std::bitset<100>(12345);
  std::bitset<20> few_bits = std::bitset<20>(12345);
  std::complex<float> complex = {1, 2};
  std::chrono::milliseconds duration{5};
  std::filesystem::path path = "/tmp/x";
  std::valarray<int> valarray = {1, 2, 3};
  std::valarray<bool> bool_valarray = {true, false};
  std::unique_ptr<Leaf> unique = std::make_unique<Leaf>();
  std::shared_ptr<Leaf> shared = std::make_shared<Leaf>();
  std::shared_ptr<Leaf> again = shared;
  std::weak_ptr<Leaf> weak = shared;
  std::shared_ptr<int> other = std::make_shared<int>(7);
  std::unique_ptr<Constructed> constructed = std::make_unique<Constructed>(1);
  std::shared_ptr<Constructed> shared_constructed = std::make_shared<Constructed>(2);
  std::unique_ptr<Beast> beast = std::make_unique<Dog>();
  std::shared_ptr<Beast> shared_beast = std::make_shared<Dog>();
  int (*function)(int) = &twice;
};

TEST_CASE("bytes that end too early are an error wherever they are cut", "[pickle][hostile]") {
  auto const bytes = mp::dumps(Everything());
  CHECK_NOTHROW((void)mp::loads<Everything>(bytes));
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    mp::Bytes const cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
    CHECK_THROWS_AS(mp::loads<Everything>(cut), mp::UnpicklingError);
  }
  CHECK(Beast::living == 0);
}

TEST_CASE("bytes that are changed are an error or a value", "[pickle][hostile]") {
  auto const bytes = mp::dumps(Everything());
  int values = 0;
  int errors = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (auto const byte :
         {bytes[i] ^ std::byte{1}, bytes[i] ^ std::byte{0x80}, bytes[i] ^ std::byte{0x40},
          std::byte{0}, std::byte{2}, std::byte{255}}) {
      mp::Bytes changed = bytes;
      changed[i] = byte;
      try {
        auto const value = mp::loads<Everything>(changed);
        ++values;
        bool const any_flag = value.flag || value.flags[0] || value.bools[0] || value.bools[1];
        CHECK((any_flag == true || any_flag == false));
      } catch (std::exception const&) {
        ++errors;
      }
    }
  }
  CHECK(values > 0);
  CHECK(errors > 0);
  CHECK(Beast::living == 0);
}

template <class T>
std::string refusal_of(mp::Bytes const& bytes) {
  return support::message_of<mp::UnpicklingError>([&] { (void)mp::loads<T>(bytes); });
}

TEST_CASE("a length that lies is refused before memory is taken for it", "[pickle][hostile]") {
  auto const check = [](auto type, std::uint64_t length) {
    using T = decltype(type);
    auto message = message_with<T>();
    message.add(length);
    CHECK_THAT(refusal_of<T>(message.bytes()), ContainsSubstring("length"));
  };
  for (std::uint64_t const length :
       {std::uint64_t{1'000'000}, std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
    check(std::string(), length);
    check(std::u32string(), length);
    check(std::vector<char>(), length);
    check(std::vector<double>(), length);
    check(std::vector<Holes>(), length);
    check(std::vector<bool>(), length);
    check(std::vector<std::string>(), length);
    check(std::vector<std::vector<int>>(), length);
    check(std::deque<double>(), length);
    check(std::list<int>(), length);
    check(std::forward_list<int>(), length);
    check(std::set<int>(), length);
    check(std::map<int, int>(), length);
    check(std::unordered_map<int, int>(), length);
    check(std::valarray<double>(), length);
    check(std::valarray<std::string>(), length);
    check(std::filesystem::path(), length);
  }
}

class Counted {
 public:
  Counted() { ++made; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(bytes_);
  }
  inline static int made = 0;

 private:
  std::array<char, 100> bytes_{};
};

TEST_CASE("a length takes no more memory than there are elements", "[pickle][hostile]") {
  auto const check = [&](auto type) {
    using T = decltype(type);
    auto message = message_with<T>();
    message.add(std::uint64_t{100'000}).add(mp::Bytes(100'000));  // are 1000 elements
    Counted::made = 0;
    CHECK_THROWS_AS(mp::loads<T>(message.bytes()), mp::UnpicklingError);
    CHECK(Counted::made <= 2000);
  };
  check(std::vector<Counted>());
  check(std::deque<Counted>());
  check(std::list<Counted>());
  check(std::forward_list<Counted>());
  check(std::valarray<Counted>());
}

struct List {
  int value = 0;
  std::unique_ptr<List> next;
};
List list_of(int length) {
  List list;
  for (; length > 1; --length) {
    auto next = std::make_unique<List>(std::move(list));
    list = List{length, std::move(next)};
  }
  return list;
}

TEST_CASE("a value nested as deep as is allowed arrives", "[pickle][hostile]") {
  auto const list = mp::loads<List>(mp::dumps(list_of(1000)));
  int length = 1;
  for (auto const* each = &list; each->next != nullptr; each = each->next.get()) ++length;
  CHECK(length == 1000);
}

TEST_CASE("a value nested too deeply is refused", "[pickle][hostile]") {
  for (int const length : {1001, 5000}) {
    auto const list = list_of(length);
    CHECK_THAT(support::message_of<mp::PicklingError>([&] { (void)mp::dumps(list); }),
               ContainsSubstring("nested too deeply"));
  }
}

TEST_CASE("bytes nested too deeply are refused", "[pickle][hostile]") {
  auto message = message_with<List>();
  for (int i = 0; i < 1'000'000; ++i) message.add(1).add(std::uint8_t{1});
  CHECK_THAT(refusal_of<List>(message.bytes()), ContainsSubstring("nested too deeply"));
}

struct Two {
  std::shared_ptr<int> first;
  std::shared_ptr<float> second;
  std::string text;
};
constexpr std::uint32_t kNew = 0x8000'0000;

TEST_CASE("the number of a shared object of another type is refused", "[pickle][hostile]") {
  auto message = message_with<Two>();
  message.add(kNew | 1).add(7).add(std::uint32_t{1}).add(std::uint64_t{0});
  CHECK_THAT(refusal_of<Two>(message.bytes()), ContainsSubstring("no object"));
}

TEST_CASE("the number of a shared object that is not there yet is refused", "[pickle][hostile]") {
  for (std::uint32_t const number :
       {1U, 2U, 5U, 0x7fff'ffffU, kNew, kNew | 2, kNew | 0x7fff'ffff}) {
    auto message = message_with<Two>();
    message.add(number).add(7).add(std::uint32_t{0}).add(std::uint64_t{0});
    CHECK_THAT(refusal_of<Two>(message.bytes()), ContainsSubstring("no object"));
  }
}

TEST_CASE("a shared object that has been numbered twice is refused", "[pickle][hostile]") {
  auto message = message_with<std::vector<std::shared_ptr<int>>>();
  message.add(std::uint64_t{2}).add(kNew | 1).add(7).add(kNew | 1).add(8);
  CHECK_THAT(refusal_of<std::vector<std::shared_ptr<int>>>(message.bytes()),
             ContainsSubstring("no object"));
}

class Inward {
 public:
  explicit Inward(std::shared_ptr<Inward> inner) : inner_(std::move(inner)) {}
  template <class Archive>
  void serialize(Archive& archive) {
    archive(inner_);
  }
  template <class Archive>
  static void load_and_construct(Archive& archive, cereal::construct<Inward>& construct) {
    std::shared_ptr<Inward> inner;
    archive(inner);
    construct(std::move(inner));
  }

 private:
  std::shared_ptr<Inward> inner_;
};

TEST_CASE("an object that is needed for its own construction is refused", "[pickle][hostile]") {
  auto message = message_with<std::shared_ptr<Inward>>();
  message.add(kNew | 1).add(std::uint8_t{1}).add(std::uint32_t{1});
  CHECK_THAT(refusal_of<std::shared_ptr<Inward>>(message.bytes()), ContainsSubstring("no object"));
}

TEST_CASE("objects that are constructed in each other too deeply are refused",
          "[pickle][hostile]") {
  auto message = message_with<std::shared_ptr<Inward>>();
  for (std::uint32_t i = 1; i < 200'000; ++i) message.add(kNew | i).add(std::uint8_t{1});
  CHECK_THAT(refusal_of<std::shared_ptr<Inward>>(message.bytes()),
             ContainsSubstring("nested too deeply"));
}

enum class Flag : bool {};

TEST_CASE("a truth that is neither 0 nor 1 is refused", "[pickle][hostile]") {
  constexpr std::uint8_t kTwo = 2;
  CHECK(refusal_of<bool>(message_with<bool>().add(kTwo).bytes()) != "nothing");
  CHECK(refusal_of<Flag>(message_with<Flag>().add(kTwo).bytes()) != "nothing");
  using Bools = std::vector<bool>;
  CHECK(refusal_of<Bools>(message_with<Bools>().add(std::uint64_t{1}).add(kTwo).bytes()) !=
        "nothing");
  using Array = std::array<bool, 2>;
  CHECK(refusal_of<Array>(message_with<Array>().add(kTwo).add(kTwo).bytes()) != "nothing");
  using Valarray = std::valarray<bool>;
  CHECK(refusal_of<Valarray>(message_with<Valarray>().add(std::uint64_t{1}).add(kTwo).bytes()) !=
        "nothing");
  using Maybe = std::optional<bool>;
  CHECK(refusal_of<Maybe>(message_with<Maybe>().add(kTwo).add(kTwo).bytes()) != "nothing");
  CHECK(refusal_of<Maybe>(message_with<Maybe>().add(std::uint8_t{0}).add(kTwo).bytes()) !=
        "nothing");
}

TEST_CASE("a truth inside a struct that is neither 0 nor 1 is refused", "[pickle][hostile]") {
  auto const check = [](auto const& value, std::size_t place) {
    using T = std::decay_t<decltype(value)>;
    auto bytes = mp::dumps(value);
    REQUIRE(bytes[place] == std::byte{1});
    bytes[place] = std::byte{2};
    CHECK(refusal_of<T>(bytes) != "nothing");
  };
  check(Holes(), 8 + offsetof(Holes, c));
  check(std::vector<Holes>(2), 8 + 8 + sizeof(Holes) + offsetof(Holes, c));
  check(std::array<Holes, 2>(), 8 + sizeof(Holes) + offsetof(Holes, c));
  struct Truths {
    bool one;
    bool two[2];
  };
  check(Truths{false, {false, true}}, 8 + 2);
}

TEST_CASE("padding that is not zero is refused", "[pickle][hostile]") {
  auto bytes = mp::dumps(Holes());
  bytes[8 + 1] = std::byte{1};
  CHECK(refusal_of<Holes>(bytes) != "nothing");
  auto many = mp::dumps(std::pair(std::string("x"), std::vector{1.5}));
  many[8 + 8 + 1 + 8 + 1] = std::byte{1};
  CHECK_THAT((refusal_of<std::pair<std::string, std::vector<double>>>(many)),
             ContainsSubstring("always zero"));
}

template <template <class...> class Pointer>
void check_foreign_class() {
  auto dog = std::make_unique<Dog>();
  dog->name = "Rex";
  Pointer<Beast> const beast = std::move(dog);
  auto const bytes = mp::dumps(beast);
  int const living = Beast::living;
  auto message = message_with<Pointer<Tool>>();
  message.add(support::body_of(bytes));
  CHECK_THROWS_AS(mp::loads<Pointer<Tool>>(message.bytes()), mp::UnpicklingError);
  CHECK(Beast::living == living);
}

TEST_CASE("a registered class that does not derive from the base is refused", "[pickle][hostile]") {
  check_foreign_class<std::shared_ptr>();
  check_foreign_class<std::unique_ptr>();
}

TEST_CASE("a name that no class was registered with is refused", "[pickle][hostile]") {
  std::unique_ptr<Beast> const beast = std::make_unique<Dog>();
  auto bytes = mp::dumps(beast);
  auto const place = std::find(bytes.begin() + 8, bytes.end(), std::byte{'D'});
  REQUIRE(place != bytes.end());
  *place = std::byte{'F'};
  CHECK_THAT(refusal_of<std::unique_ptr<Beast>>(bytes), ContainsSubstring("pickle_hostile::Fog"));
  auto message = message_with<std::unique_ptr<Beast>>();
  message.add(std::uint32_t{5});
  CHECK(refusal_of<std::unique_ptr<Beast>>(message.bytes()) != "nothing");
}

TEST_CASE("a variant of no alternative is refused", "[pickle][hostile]") {
  using Either = std::variant<int, std::string>;
  for (int const index : {-1, 2, 0x7fff'ffff}) {
    CHECK(refusal_of<Either>(message_with<Either>().add(index).add(1).bytes()) != "nothing");
  }
}

TEST_CASE("bits that are none are refused", "[pickle][hostile]") {
  using Bits = std::bitset<5>;
  auto message = message_with<Bits>();
  message.add(std::uint8_t{9}).add(std::uint64_t{1}).add('2');
  CHECK(refusal_of<Bits>(message.bytes()) != "nothing");
  using Many = std::bitset<100>;
  auto text = message_with<Many>();
  text.add(std::uint8_t{2}).add(std::uint64_t{1}).add('2');
  CHECK(refusal_of<Many>(text.bytes()) != "nothing");
}

}  // namespace pickle_hostile
