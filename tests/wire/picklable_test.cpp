// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/wire/picklable.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <variant>
#include <vector>

#include "../support/catch.hpp"

namespace picklable_test {

namespace wire = multiprocessing::wire;

namespace picklable {

using wire::Picklable;
using wire::Refusal;

struct Point {
  int x;
  int y;
};
struct Inner {
  std::string text;
  Point point;
};
struct Recursive {
  std::vector<Recursive> children;
  std::unique_ptr<Recursive> next;
  std::shared_ptr<Recursive> other;
  std::map<int, Recursive> map;
};
struct Mutual;
struct OtherMutual {
  std::vector<Mutual> more;
};
struct Mutual {
  std::vector<OtherMutual> more;
};
class WithSerialize {
 public:
  template <class Archive>
  void serialize(Archive&) {}

  int* pointer = nullptr;
};
class WithoutDefault {
 public:
  explicit WithoutDefault(int) {}
  template <class Archive>
  void serialize(Archive&) {}
};
class Constructed {
 public:
  explicit Constructed(int) {}
  template <class Archive>
  void serialize(Archive&) {}
  template <class Archive>
  static void load_and_construct(Archive&, cereal::construct<Constructed>&) {}
};
class Abstract {
 public:
  virtual ~Abstract() = default;
  virtual int number() const = 0;
};
class Closed {
 public:
  Closed() {}

 private:
  std::string text_;
};
class Opaque {
 public:
  explicit Opaque(int number) : number_(number) {}
  int number() const { return number_; }

 private:
  int number_;
};
class Deaf {
 public:
  Deaf() = default;
  Deaf(Deaf&&) = delete;
  template <class Archive>
  void serialize(Archive&) {}
};
struct DeepPointer {
  int number;
  std::vector<std::optional<std::pair<int, char const*>>> deep;
};
struct DeepClosed {
  std::string text;
  std::map<int, Closed> map;
};
struct WithBase : Inner {
  int more;
};
struct PlainWithBase : Point {
  int more;
};
struct WithReference {
  int& reference;
};
struct WithConst {
  std::string const text;
};
struct WithMutex {
  std::mutex mutex;
};
struct WithArray {
  std::string text;
  char name[16];
};
struct WithArrayOfOne {
  std::string text;
  std::string more[1];
};
struct WithUnion {
  union {
    int number;
    float real;
  } either;
};
struct WithRequired {
  std::string text;
  std::unique_ptr<int> number;
  WithoutDefault required;
};

template <class T>
constexpr Refusal kWhy = wire::picklable_detail::Judgement<T>::kWhy;
template <class T>
using CulpritOf = typename wire::picklable_detail::Judgement<T>::Culprit;

static_assert(Picklable<int> && Picklable<Point> && Picklable<Inner> && Picklable<Recursive>);
static_assert(Picklable<Mutual> && Picklable<OtherMutual> && Picklable<PlainWithBase>);
static_assert(Picklable<WithSerialize> && Picklable<std::vector<WithSerialize>>);
static_assert(Picklable<std::unique_ptr<Constructed>> && Picklable<std::shared_ptr<Constructed>>);
static_assert(Picklable<std::unique_ptr<Abstract>> && Picklable<std::weak_ptr<Abstract>>);
static_assert(Picklable<std::vector<std::map<int, std::variant<std::monostate, Inner>>>>);
static_assert(Picklable<int (*)(int)> && Picklable<int Point::*> && Picklable<void (Point::*)()>);
static_assert(Picklable<std::vector<int (*)(int)>> && Picklable<int (*)(int) noexcept>);
static_assert(Picklable<std::chrono::system_clock::time_point>);
static_assert(Picklable<int const> && Picklable<std::string const>);

static_assert(!Picklable<void> && !Picklable<int&>);
static_assert(!Picklable<WithArrayOfOne> && !Picklable<std::thread> && !Picklable<std::mutex>);

}  // namespace picklable

TEST_CASE("what can not be sent is told with the reason", "[picklable]") {
  using namespace picklable;
  STATIC_REQUIRE(kWhy<int> == Refusal::None);
  STATIC_REQUIRE(kWhy<int*> == Refusal::RawPointer);
  STATIC_REQUIRE(kWhy<std::nullptr_t> == Refusal::RawPointer);
  STATIC_REQUIRE(kWhy<int&> == Refusal::Reference);
  STATIC_REQUIRE(kWhy<std::reference_wrapper<int>> == Refusal::Reference);
  STATIC_REQUIRE(kWhy<std::string_view> == Refusal::View);
  STATIC_REQUIRE(kWhy<std::span<int>> == Refusal::View);
  STATIC_REQUIRE(kWhy<std::span<int, 3>> == Refusal::View);
  STATIC_REQUIRE(kWhy<std::initializer_list<int>> == Refusal::View);
  STATIC_REQUIRE(kWhy<std::function<void()>> == Refusal::StdFunction);
  STATIC_REQUIRE(kWhy<int[3]> == Refusal::Array);
  STATIC_REQUIRE(kWhy<void> == Refusal::NoValue);
  CHECK((kWhy<int volatile> == Refusal::NoValue));
  STATIC_REQUIRE(kWhy<WithoutDefault> == Refusal::NoDefaultConstructor);
  STATIC_REQUIRE(kWhy<WithRequired> == Refusal::NoDefaultConstructor);
  STATIC_REQUIRE(kWhy<Deaf> == Refusal::CanNotBeMoved);
  STATIC_REQUIRE(kWhy<std::atomic<int>> == Refusal::CanNotBeMoved);
  STATIC_REQUIRE(kWhy<std::unique_ptr<Deaf>> == Refusal::None);
  STATIC_REQUIRE(kWhy<Closed> == Refusal::NoFunctions);
  STATIC_REQUIRE(kWhy<Opaque> == Refusal::OpaqueBytes);
  STATIC_REQUIRE(kWhy<WithBase> == Refusal::AggregateWithBase);
  STATIC_REQUIRE(kWhy<WithReference> == Refusal::AggregateCanNotBeAssigned);
  STATIC_REQUIRE(kWhy<WithConst> == Refusal::AggregateCanNotBeAssigned);
  STATIC_REQUIRE(kWhy<WithMutex> == Refusal::AggregateCanNotBeAssigned);
  STATIC_REQUIRE(kWhy<WithArray> == Refusal::AggregateWithArray);
  STATIC_REQUIRE(kWhy<WithUnion> != Refusal::None);
}

TEST_CASE("who is to blame is found at any depth", "[picklable]") {
  using namespace picklable;
  STATIC_REQUIRE(std::is_same_v<CulpritOf<std::vector<int*>>, int*>);
  STATIC_REQUIRE(std::is_same_v<CulpritOf<DeepPointer>, char const*>);
  STATIC_REQUIRE(std::is_same_v<CulpritOf<DeepClosed>, Closed>);
  STATIC_REQUIRE(std::is_same_v<CulpritOf<std::tuple<int, std::string_view>>, std::string_view>);
  STATIC_REQUIRE(std::is_same_v<CulpritOf<std::unique_ptr<Closed>>, Closed>);
  STATIC_REQUIRE(std::is_same_v<CulpritOf<WithRequired>, WithoutDefault>);
}

TEST_CASE("lambdas can be sent when their captures can", "[picklable]") {
  using namespace picklable;
  int number = 1;
  std::string const text = "text";
  auto const none = [] { return 1; };
  auto const plain = [number] { return number; };
  auto const reference = [&number] { return number; };
  auto const pointer = [p = &number] { return *p; };
  auto const owning = [text] { return static_cast<int>(text.size()); };
  STATIC_REQUIRE(Picklable<decltype(none)>);
  STATIC_REQUIRE(Picklable<decltype(plain)>);
  STATIC_REQUIRE(kWhy<decltype(reference)> == Refusal::CallableWithCaptures);
  STATIC_REQUIRE(kWhy<decltype(pointer)> == Refusal::CallableWithCaptures);
  STATIC_REQUIRE(kWhy<decltype(owning)> == Refusal::CallableWithCaptures);
  CHECK(none() + plain() + reference() + pointer() + owning() == 8);
}

}  // namespace picklable_test
