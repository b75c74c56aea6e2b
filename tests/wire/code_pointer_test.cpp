// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/wire/code_pointer.hpp>

#include <dlfcn.h>
#include <sys/mman.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include <multiprocessing/wire/archive.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace code_pointer_test {

namespace mp = multiprocessing;
namespace os = multiprocessing::os;
namespace wire = multiprocessing::wire;

namespace {

int square(int x) { return x * x; }
int cube(int x) noexcept { return x * x * x; }
template <class T>
T twice(T x) {
  return x + x;
}

template <class T>
wire::Bytes encoded(T const& value) {
  wire::Bytes bytes;
  wire::encode(bytes, value);
  return bytes;
}
template <class T>
T sent(T const& value) {
  auto const bytes = encoded(value);
  std::span<std::byte const> rest(bytes);
  T arrived = wire::decode<T>(rest);
  CHECK(rest.empty());
  return arrived;
}

struct Step {
  std::string name;
  int (*function)(int);
  int (*other)(int) noexcept;
};
struct Plain {
  int number;
  int (*function)(int);
};
class First {
 public:
  virtual ~First() = default;
  int padding = 1;
};
class Second {
 public:
  int number = 2;
  int other = 3;
  virtual ~Second() = default;
  int plain(int x) { return number + x; }
  int constant(int x) const { return number * x; }
  int silent(int x) const noexcept { return number - x; }
  virtual int overridden(int x) { return x; }
};
class Both : public First, public Second {
 public:
  int overridden(int x) override { return 10 * x; }
};

/// Loaded as long as it lives.
class Plugin {
 public:
  using Function = int (*)();

  explicit Plugin(int build)
      : library_(::dlopen((MULTIPROCESSING_TEST_PLUGINS "/plugin_" + std::to_string(build) +
                           "/libplugin.so")
                              .c_str(),
                          RTLD_NOW | RTLD_LOCAL),
                 &::dlclose) {
    REQUIRE(library_ != nullptr);
  }
  Function function() const {
    return reinterpret_cast<Function>(::dlsym(library_.get(), "plugin_build"));
  }

 private:
  std::unique_ptr<void, int (*)(void*)> library_;
};

std::string refusal_of(wire::CodePlace const& place) {
  return support::message_of<mp::UnpicklingError>(
      [&] { wire::function_at<int()>(place, os::ModuleTable::now()); });
}

}  // namespace

TEST_CASE("functions arrive as themselves", "[code_pointer]") {
  CHECK(sent(&square) == &square);
  CHECK(sent(&cube) == &cube);
  CHECK(sent(&twice<int>) == &twice<int>);
  CHECK(sent(&std::abort) == &std::abort);
  CHECK(sent(static_cast<int (*)(int)>(nullptr)) == nullptr);
}

TEST_CASE("functions arrive within structs and containers", "[code_pointer]") {
  auto const step = sent(Step{"name", &square, &cube});
  CHECK(step.name == "name");
  CHECK(step.function(3) == 9);
  CHECK(step.other(2) == 8);
  auto const plain = sent(Plain{7, &square});
  CHECK(plain.number == 7);
  CHECK(plain.function == &square);
  using Function = int (*)(int);
  CHECK(sent(std::vector<Function>{&square, nullptr, &cube}) ==
        std::vector<Function>{&square, nullptr, &cube});
}

TEST_CASE("pointers to member functions arrive as themselves", "[code_pointer]") {
  Both both;
  auto const check = [&](auto pointer) {
    CHECK(sent(pointer) == pointer);
    CHECK((both.*sent(pointer))(5) == (both.*pointer)(5));
  };
  check(&Second::plain);
  check(&Second::constant);
  check(&Second::silent);
  check(&Second::overridden);
  // Not called: UBSan of g++ 12 takes a `this` that was adjusted for one of a wrong type.
  int (Both::*const adjusted)(int) = &Second::plain;
  int (Both::*const adjusted_virtual)(int) = &Second::overridden;
  CHECK(sent(adjusted) == adjusted);
  CHECK(sent(adjusted_virtual) == adjusted_virtual);
  CHECK((both.*sent(&Second::overridden))(1) == 10);
  CHECK(sent(static_cast<int (Both::*)(int)>(nullptr)) == nullptr);
}

TEST_CASE("pointers to members arrive as themselves", "[code_pointer]") {
  Both both;
  CHECK(both.*sent(&Second::number) == 2);
  CHECK(both.*sent(&Second::other) == 3);
  CHECK(both.*sent(static_cast<int Both::*>(&Second::other)) == 3);
  CHECK(sent(static_cast<int Both::*>(nullptr)) == nullptr);
}

TEST_CASE("a function's place is that of its module", "[code_pointer]") {
  auto const place = wire::place_of(&square);
  CHECK(place == wire::place_of(&square));
  CHECK(place.module == wire::place_of(&cube).module);
  CHECK(place.offset != wire::place_of(&cube).offset);
  CHECK(place.name[0] == '\0');
  CHECK(wire::place_of(&std::abort).module != place.module);
  CHECK_THAT(wire::place_of(&std::abort).name.data(), ContainsSubstring(".so"));
  CHECK(wire::function_at<int(int)>(place, os::ModuleTable::now()) == &square);
  CHECK(wire::function_at<int(int)>({}, os::ModuleTable::now()) == nullptr);
}

TEST_CASE("a table of no module has no code", "[code_pointer]") {
  os::ModuleTable const nowhere;
  CHECK(nowhere.is_empty());
  CHECK_FALSE(os::ModuleTable::now().is_empty());
  CHECK(support::message_of<mp::UnpicklingError>([&] {
          wire::function_at<int(int)>(wire::place_of(&square), nowhere);
        }) == "decoding meets a function, and none is accepted from another program");
  CHECK(wire::function_at<int(int)>({}, nowhere) == nullptr);
}

TEST_CASE("a function's place is the same in a child", "[code_pointer]") {
  auto const place = wire::place_of(&square);
  support::RawChild child([&] {
    return wire::function_at<int(int)>(place, os::ModuleTable::now())(5) == 25 &&
                   wire::place_of(&square) == place
               ? 0
               : 1;
  });
  CHECK(child.wait() == 0);
}

TEST_CASE("code that lies in no module can not be sent", "[code_pointer]") {
  void* const page = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(page != MAP_FAILED);
  auto* const function = reinterpret_cast<void (*)()>(page);
  CHECK_THAT(support::message_of<mp::PicklingError>([&] { wire::place_of(function); }),
             ContainsSubstring("no loaded module"));
  CHECK_THROWS_AS(encoded(function), mp::PicklingError);
  ::munmap(page, 4096);
}

TEST_CASE("a place in another build of the program is refused", "[code_pointer]") {
  auto place = wire::place_of(&square);
  ++place.module;
  CHECK(refusal_of(place) == "this child runs another build of the program");
}

TEST_CASE("a place where there is no code is refused", "[code_pointer]") {
  auto place = wire::place_of(&square);
  static int data = 1;
  auto const module = os::module_at(reinterpret_cast<std::uintptr_t>(&data));
  REQUIRE(module.has_value());
  for (auto const offset : {reinterpret_cast<std::uintptr_t>(&data) - module->base,
                            std::uintptr_t{0}, ~std::uintptr_t{0}, std::uintptr_t{1} << 40}) {
    place.offset = offset;
    CHECK_THAT(refusal_of(place), ContainsSubstring("no code"));
  }
}

TEST_CASE("a member function where there is no code is refused", "[code_pointer]") {
  auto bytes = encoded(&Second::plain);
  bytes[8 + 7] = std::byte{0x7f};
  std::span<std::byte const> rest(bytes);
  CHECK_THROWS_AS(wire::decode<int (Second::*)(int)>(rest), mp::UnpicklingError);
}

TEST_CASE("a function of a library that has been closed is refused by its name", "[code_pointer]") {
  wire::Bytes bytes;
  {
    Plugin const plugin(1);
    bytes = encoded(plugin.function());
    std::span<std::byte const> rest(bytes);
    CHECK(wire::decode<Plugin::Function>(rest) == plugin.function());
  }
  std::span<std::byte const> rest(bytes);
  CHECK(support::message_of<mp::UnpicklingError>([&] { wire::decode<Plugin::Function>(rest); }) ==
        "module libplugin.so is not loaded in the child");
}

TEST_CASE("a function of another build of a library is refused by its name", "[code_pointer]") {
  wire::CodePlace place;
  {
    Plugin const plugin(1);
    place = wire::place_of(plugin.function());
    CHECK(plugin.function()() == 1);
  }
  {
    Plugin const other(2);
    CHECK(other.function()() == 2);
    CHECK(wire::place_of(other.function()).module != place.module);
    CHECK(refusal_of(place) == "this child runs another build of libplugin.so");
  }
  Plugin const again(1);
  CHECK(wire::function_at<int()>(place, os::ModuleTable::now()) == again.function());
}

TEST_CASE("a name without an end is cut off", "[code_pointer]") {
  wire::CodePlace place;
  place.module = 1;
  place.name.fill('x');
  CHECK_THAT(refusal_of(place), ContainsSubstring("module xxxx"));
}

}  // namespace code_pointer_test
