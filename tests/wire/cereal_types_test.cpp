// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/wire/cereal_types.hpp>

#include <string>
#include <vector>

#include "../support/catch.hpp"

namespace wire = multiprocessing::wire;

namespace cereal_types {

struct Plain {
  int number;
  std::string text;
};
struct Member {
  template <class Archive>
  void serialize(Archive&) {}
};
struct Beside {};
template <class Archive>
void serialize(Archive&, Beside&) {}
struct Split {
  template <class Archive>
  void save(Archive&) const {}
  template <class Archive>
  void load(Archive&) {}
};
struct Versioned {
  template <class Archive>
  void serialize(Archive&, std::uint32_t) {}
};
struct Minimal {
  template <class Archive>
  int save_minimal(Archive const&) const {
    return 1;
  }
  template <class Archive>
  void load_minimal(Archive const&, int const&) {}
};
class Private {
  friend class cereal::access;
  template <class Archive>
  void serialize(Archive&) {}
};
class PrivateWithoutFriend {
  template <class Archive>
  void serialize(Archive&) {}
};
struct Constructed {
  explicit Constructed(int) {}
  template <class Archive>
  void serialize(Archive&) {}
  template <class Archive>
  static void load_and_construct(Archive&, cereal::construct<Constructed>&) {}
};
enum class Color {};

}  // namespace cereal_types

TEST_CASE("classes with cereal's functions are known from all others", "[cereal_types]") {
  using namespace cereal_types;
  STATIC_REQUIRE(wire::UserSerializable<Member>);
  STATIC_REQUIRE(wire::UserSerializable<Beside>);
  STATIC_REQUIRE(wire::UserSerializable<Split>);
  STATIC_REQUIRE(wire::UserSerializable<Versioned>);
  STATIC_REQUIRE(wire::UserSerializable<Minimal>);
  STATIC_REQUIRE(wire::UserSerializable<Private>);
  STATIC_REQUIRE(wire::UserSerializable<Constructed>);
  STATIC_REQUIRE_FALSE(wire::UserSerializable<Plain>);
  STATIC_REQUIRE_FALSE(wire::UserSerializable<PrivateWithoutFriend>);
  STATIC_REQUIRE_FALSE(wire::UserSerializable<int>);
  STATIC_REQUIRE_FALSE(wire::UserSerializable<Color>);
  STATIC_REQUIRE_FALSE(wire::UserSerializable<int*>);
}

TEST_CASE("classes that are constructed while they are loaded are known", "[cereal_types]") {
  using namespace cereal_types;
  STATIC_REQUIRE(wire::LoadedByConstruction<Constructed>);
  STATIC_REQUIRE_FALSE(wire::LoadedByConstruction<Member>);
  STATIC_REQUIRE_FALSE(wire::LoadedByConstruction<Plain>);
}

namespace cereal_types_test {
struct Rows : std::vector<std::string> {
  int id = 0;
};
struct Named : std::vector<std::string> {
  int id = 0;
};
template <class Archive>
void save(Archive&, Named const&) {}
template <class Archive>
void load(Archive&, Named&) {}
}  // namespace cereal_types_test

using multiprocessing::wire::UserSerializable;

TEST_CASE("what a class derived from a container adds is not dropped in silence",
          "[cereal_types]") {
  STATIC_REQUIRE_FALSE(UserSerializable<cereal_types_test::Rows>);
  STATIC_REQUIRE(UserSerializable<cereal_types_test::Named>);
}
