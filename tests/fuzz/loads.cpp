// SPDX-License-Identifier: BSL-1.0
// Hostile bytes: whatever a message holds, decoding it makes a value or throws a std::exception;
// and what it makes can be sent on, to arrive the same.
//
//   scripts/test fuzz                                        20 seconds
//   MULTIPROCESSING_FUZZ_SECONDS=600 scripts/test fuzz       ten minutes
//   build/fuzz/tests/fuzz/fuzz_loads CRASH_FILE              what was found, again
//
// The first byte chooses the type, and its highest bit whether the message lies at an odd address;
// the others are the message. A valid message of each type is written to the directory that the
// program is started with, so that the fuzzer needs not guess what one looks like.
#include <array>
#include <bitset>
#include <chrono>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <filesystem>
#include <forward_list>
#include <fstream>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <valarray>
#include <variant>
#include <vector>

#include <cereal/types/polymorphic.hpp>
#include <multiprocessing/pickle.hpp>
#include <multiprocessing/wire/exception.hpp>

namespace {

namespace mp = multiprocessing;
using Message = std::span<std::byte const>;

// The types.

enum class Colour : std::uint8_t { Red, Green };

struct Padded {
  std::int32_t number;
  double real;
  bool flag;
  Colour colour;
  std::array<bool, 3> flags;
};

struct Inner {
  std::string text;
  std::vector<Padded> all;
};
struct Outer {
  bool flag;
  Inner inner;
  std::vector<Inner> inners;
  std::map<std::string, Inner> named;
};

struct Tree {
  std::int32_t value;
  std::unique_ptr<Tree> left;
  std::unique_ptr<Tree> right;
};

struct Folder {
  std::string name;
  std::vector<Folder> folders;
  std::list<Folder> more;
};

struct Pile {
  std::uint8_t value;
  std::deque<Pile> piles;
};

struct Leaf {
  std::string text;
  std::shared_ptr<std::int64_t> number;
};

/// Of a graph that may have cycles, which would leak: so all that are alive are known.
class Node {
 public:
  Node() : place_(alive_.insert(alive_.end(), this)) {}
  Node(Node const&) = delete;
  Node& operator=(Node const&) = delete;
  ~Node() { alive_.erase(place_); }

  template <class Archive>
  void serialize(Archive& archive) {
    archive(next, back, leaf);
  }

  static void cut_cycles() {
    std::vector<std::shared_ptr<Node>> links;
    for (auto* const node : alive_) links.push_back(std::move(node->next));
  }

  std::shared_ptr<Node> next;
  std::weak_ptr<Node> back;
  std::shared_ptr<Leaf> leaf;

 private:
  static inline std::list<Node*> alive_;
  std::list<Node*>::iterator place_;
};

struct Shape {
  virtual ~Shape() = default;
  virtual double area() const = 0;
};
struct Square : Shape {
  double side = 0;
  std::unique_ptr<Shape> inside;  // a shared one could be itself, and leak
  double area() const override { return side * side; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(side, inside);
  }
};
struct Label {
  virtual ~Label() = default;
  std::string label;
};
struct Circle : Label, Shape {  // its Shape lies at another address
  double radius = 0;
  double area() const override { return radius * radius * 3; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(radius, label);
  }
};

struct Animal {
  virtual ~Animal() = default;
  std::string name;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(name);
  }
};
struct Dog : Animal {
  std::unique_ptr<Animal> prey;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(cereal::base_class<Animal>(this), prey);
  }
};

class Versioned {
 public:
  template <class Archive>
  void serialize(Archive& archive, std::uint32_t const version) {
    archive(old_);
    if (version >= 2) archive(new_);
  }

 private:
  std::int32_t old_ = 1;
  std::string new_ = "new";
};

class Constructed {
 public:
  explicit Constructed(std::int32_t number) : number_(number) {}
  template <class Archive>
  void save(Archive& archive) const {
    archive(number_, next_);
  }
  template <class Archive>
  static void load_and_construct(Archive& archive, cereal::construct<Constructed>& construct) {
    std::int32_t number = 0;
    archive(number);
    construct(number);
    archive(construct->next_);
  }
  void append(std::unique_ptr<Constructed> next) { next_ = std::move(next); }

 private:
  std::int32_t number_;
  std::unique_ptr<Constructed> next_;
};

struct Nothing {
  template <class Archive>
  void serialize(Archive&) {}
};

struct Code {
  int (*function)(int);
  double (Shape::*virtual_function)() const;
  void (Constructed::*member_function)(std::unique_ptr<Constructed>);
  double Square::*member;
};
int twice(int x) { return 2 * x; }
int add(std::string const& text, int x) { return x + static_cast<int>(text.size()); }

class Overheated : public std::runtime_error {
 public:
  Overheated() : std::runtime_error("overheated") {}
  template <class Archive>
  void serialize(Archive& archive) {
    archive(degrees_, where_);
  }

 private:
  std::int32_t degrees_ = 90;
  std::vector<std::string> where_{"kernel"};
};

}  // namespace

CEREAL_REGISTER_TYPE(Square)
CEREAL_REGISTER_TYPE(Circle)
CEREAL_REGISTER_POLYMORPHIC_RELATION(Shape, Square)
CEREAL_REGISTER_POLYMORPHIC_RELATION(Shape, Circle)
CEREAL_REGISTER_TYPE(Dog)
CEREAL_CLASS_VERSION(Versioned, 2)

namespace {

// A value of each type.

auto strings() {
  return std::tuple(std::string("abc"), std::u32string(U"abc"), std::wstring(L"abc"),
                    std::vector<std::string>{"", "a text that is too long for a small string"});
}
auto plain_structs() {
  Padded const one{1, 2.5, true, Colour::Green, {true, false, true}};
  return std::tuple(one, std::vector<Padded>{one, one}, std::optional(one),
                    std::vector<std::array<Padded, 2>>{{one, one}});
}
auto maps() {
  return std::tuple(std::map<std::string, std::vector<int>>{{"a", {1}}, {"b", {2, 3}}},
                    std::multimap<std::int16_t, std::string>{{1, "x"}, {1, "y"}},
                    std::set<std::string>{"p", "q"}, std::multiset<int>{4, 4});
}
auto nested() {
  Padded const one{1, 2.5, true, Colour::Green, {true, false, true}};
  Inner const inner{"inner", {one}};
  return Outer{true, inner, {inner, inner}, {{"key", inner}}};
}
auto choices() {
  using Choice = std::variant<std::monostate, bool, std::string, std::vector<double>, Padded>;
  return std::tuple(std::vector<Choice>{true, "text", std::vector{1.5}},
                    std::optional(std::string("set")),
                    std::pair(std::optional<bool>(), Choice(std::monostate{})));
}
auto graph() {
  auto const first = std::make_shared<Node>();
  first->next = std::make_shared<Node>();
  first->next->next = first;
  first->next->back = first;
  first->leaf = std::make_shared<Leaf>(Leaf{"leaf", std::make_shared<std::int64_t>(7)});
  first->next->leaf = first->leaf;
  return std::tuple(std::vector{first, first->next}, first->leaf, first->leaf->number,
                    std::weak_ptr<Node>(first), std::weak_ptr<Leaf>());
}
auto tree() {
  auto const leaf = [](int value) { return std::make_unique<Tree>(Tree{value, {}, {}}); };
  return Tree{1, std::make_unique<Tree>(Tree{2, leaf(3), {}}), leaf(4)};
}
auto folders() {
  return Folder{"root", {Folder{"a", {}, {}}, Folder{"b", {Folder{"c", {}, {}}}, {}}}, {Folder{}}};
}
auto piles() { return Pile{1, {Pile{2, {}}, Pile{3, {Pile{4, {}}}}}}; }
auto polymorphic() {
  auto const circle = std::make_shared<Circle>();
  circle->label = "round";
  auto const square = std::make_shared<Square>();
  square->inside = std::make_unique<Circle>();
  auto dog = std::make_unique<Dog>();
  dog->prey = std::make_unique<Animal>();
  std::vector<std::unique_ptr<Shape>> owned;
  owned.push_back(std::make_unique<Square>());
  owned.push_back(std::make_unique<Circle>());
  return std::tuple(std::vector<std::shared_ptr<Shape>>{square, circle, nullptr}, circle,
                    std::move(owned), std::unique_ptr<Animal>(std::move(dog)),
                    std::shared_ptr<Animal>(std::make_shared<Dog>()));
}
auto small_standard_types() {
  return std::tuple(std::bitset<77>(0x1234'5678'9abc), std::chrono::milliseconds(5),
                    std::chrono::system_clock::time_point(), std::filesystem::path("/tmp/x"),
                    std::complex<double>(1, 2), std::array<std::string, 2>{"a", "b"},
                    std::bitset<3>(5), std::array<bool, 4>{true});
}
auto vector_of_bool() {
  return std::tuple(std::vector<bool>{true, false, true}, std::vector<std::vector<bool>>{{true}});
}
auto unordered() {
  return std::tuple(std::unordered_map<std::string, int>{{"a", 1}, {"b", 2}},
                    std::unordered_multimap<int, std::string>{{1, "x"}, {1, "y"}},
                    std::unordered_set<std::string>{"p", "q"}, std::unordered_multiset<int>{4, 4});
}
auto queues() {
  std::priority_queue<std::string> priority;
  priority.push("b");
  priority.push("a");
  std::queue<int> queue;
  queue.push(1);
  return std::tuple(std::move(priority), std::move(queue));
}
auto lists() {
  return std::tuple(std::deque<std::string>{"a", "b"}, std::list<std::vector<int>>{{1}, {2, 3}},
                    std::forward_list<std::string>{"c"}, std::deque<int>{1, 2},
                    std::list<std::list<std::list<bool>>>{{{true}}}, std::vector<Nothing>(3),
                    std::list<Nothing>(3));
}
auto valarrays() {
  return std::tuple(std::valarray<double>{1, 2}, std::valarray<std::string>{"a", "b"},
                    std::valarray<int>(), std::valarray<bool>{true});
}
auto versioned() { return std::vector<Versioned>(2); }
auto constructed() {
  auto const shared = std::make_shared<Constructed>(1);
  auto first = std::make_unique<Constructed>(2);
  first->append(std::make_unique<Constructed>(3));
  return std::tuple(std::move(first), std::vector{shared, shared});
}
auto code() { return Code{&twice, &Shape::area, &Constructed::append, &Square::side}; }
auto bound() { return mp::bind(&add, std::string("five5")); }
auto exceptions() {
  try {
    try {
      try {
        throw Overheated();
      } catch (...) {
        std::throw_with_nested(
            std::system_error(std::make_error_code(std::errc::io_error), "reading"));
      }
    } catch (...) {
      std::throw_with_nested(std::runtime_error("failed"));
    }
  } catch (...) {
    auto record = mp::wire::record_current_exception();
    mp::wire::add_origin(record, mp::RemoteTraceback("Process-1", 17, "a task"));
    return record;
  }
}

// What is done with them.

[[noreturn]] void fail(char const* what) {
  std::fprintf(stderr, "fuzz_loads: %s\n", what);
  std::abort();
}

template <class T>
T decode_valid(Message message) {
  try {
    T value = mp::wire::decode<T>(message);
    if (!message.empty()) fail("decoding left bytes of what encode() has written");
    return value;
  } catch (std::exception const& error) {
    fail(error.what());
  }
}
template <class T>
mp::Bytes encode_decoded(T const& value) {
  try {
    mp::Bytes bytes;
    mp::wire::encode(bytes, value);
    if (mp::wire::encode_into({}, value) != bytes.size()) fail("encode_into() measures otherwise");
    return bytes;
  } catch (std::exception const& error) {
    fail(error.what());
  }
}

/// Bytes of equal values are equal.
template <class T>
void send_on(T const& value) {
  auto const bytes = encode_decoded(value);
  if (encode_decoded(decode_valid<T>(bytes)) != bytes) fail("the value has changed on its way");
}
/// The order in unordered containers is no part of their values.
template <class T>
void send_on_unordered(T const& value) {
  if (decode_valid<T>(encode_decoded(value)) != value) fail("the value has changed on its way");
}
void send_on_exception(mp::wire::ExceptionRecord const& record) {
  send_on(record);
  try {
    mp::wire::throw_recorded(record);
  } catch (std::exception const&) {
    send_on(mp::wire::record_current_exception());
  }
}

struct Case {
  char const* name;
  void (*run)(Message);
  mp::Bytes (*valid)();
};

/// `make` makes a valid value, `use` gets what came out of a message.
template <auto make, auto use = &send_on<decltype(make())>>
Case of(char const* name) {
  using T = decltype(make());
  return {name,
          [](Message message) {
            std::optional<T> value;
            try {
              value.emplace(mp::wire::decode<T>(message));
            } catch (std::exception const&) {
              return;
            }
            use(*value);
          },
          [] {
            mp::Bytes bytes;
            mp::wire::encode(bytes, make());
            return bytes;
          }};
}

template <auto make>
Case of_unordered(char const* name) {
  return of<make, &send_on_unordered<decltype(make())>>(name);
}

std::vector<Case> const& cases() {
  static std::vector<Case> const all{
      of<&strings>("strings"),
      of<&plain_structs>("plain_structs"),
      of<&maps>("maps"),
      of<&nested>("nested"),
      of<&choices>("choices"),
      of<&graph>("graph"),
      of<&tree>("tree"),
      of<&folders>("folders"),
      of<&piles>("piles"),
      of<&polymorphic>("polymorphic"),
      of<&small_standard_types>("small_standard_types"),
      of<&vector_of_bool>("vector_of_bool"),
      of_unordered<&unordered>("unordered"),
      of<&queues>("queues"),
      of<&lists>("lists"),
      of<&valarrays>("valarrays"),
      of<&versioned>("versioned"),
      of<&constructed>("constructed"),
      of<&code>("code"),
      of<&bound>("bound"),
      of<&exceptions, &send_on_exception>("exceptions"),
  };
  return all;
}

constexpr std::uint8_t kOddAddress = 0x80;

void write_seeds(std::filesystem::path const& directory) {
  for (std::size_t i = 0; i < cases().size(); ++i) {
    auto const message = cases()[i].valid();
    std::ofstream file(directory / cases()[i].name, std::ios::binary);
    file.put(static_cast<char>(i));
    file.write(reinterpret_cast<char const*>(message.data()),
               static_cast<std::streamsize>(message.size()));
    if (!file.flush()) fail("a seed could not be written");
  }
  Node::cut_cycles();
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  mp::wire::register_exception<Overheated>();
  for (int i = 1; i < *argc; ++i) {
    if (std::filesystem::is_directory((*argv)[i])) {
      write_seeds((*argv)[i]);
      break;
    }
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  if (size == 0) return 0;
  auto const& chosen = cases()[(*data & ~kOddAddress) % cases().size()];
  std::size_t const shift = (*data & kOddAddress) != 0 ? 1 : 0;
  mp::Bytes memory(shift + size - 1);  // ends with the message, so that to read beyond it is seen
  auto const message = std::span(memory).subspan(shift);
  if (!message.empty()) std::memcpy(message.data(), data + 1, message.size());
  chosen.run(message);
  Node::cut_cycles();
  return 0;
}
