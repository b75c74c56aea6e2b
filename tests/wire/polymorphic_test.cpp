// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/wire/polymorphic.hpp>

#include <multiprocessing/pickle.hpp>

#include "../support/catch.hpp"

namespace mp = multiprocessing;

namespace polymorphic_test {

struct Animal {
  virtual ~Animal() = default;
  virtual int legs() const = 0;
};
struct Machine {
  virtual ~Machine() = default;
  virtual int parts() const = 0;
};

/// Counts those that live.
struct Counted {
  Counted() { ++alive; }
  Counted(Counted const&) { ++alive; }
  ~Counted() { --alive; }
  static inline int alive = 0;
};

struct Bird : Animal {
  Counted counted;
  int legs() const override { return 2; }
  template <class Archive>
  void serialize(Archive&) {}
};
struct Car : Machine {
  Counted counted;
  int wheels = 0;
  int parts() const override { return wheels; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(wheels);
  }
};

}  // namespace polymorphic_test

CEREAL_REGISTER_TYPE(polymorphic_test::Bird)
CEREAL_REGISTER_POLYMORPHIC_RELATION(polymorphic_test::Animal, polymorphic_test::Bird)
CEREAL_REGISTER_TYPE(polymorphic_test::Car)
CEREAL_REGISTER_POLYMORPHIC_RELATION(polymorphic_test::Machine, polymorphic_test::Car)

using namespace polymorphic_test;

namespace {
/// What was written as a pointer to a Machine can not be read as one to an Animal.
template <class AnimalPointer>
void check_is_refused(auto const& machine) {
  mp::Bytes bytes;
  mp::wire::encode(bytes, machine);
  std::span<std::byte const> rest(bytes);
  CHECK_THROWS_AS(mp::wire::decode<AnimalPointer>(rest), mp::UnpicklingError);
}
}  // namespace

TEST_CASE("a registered class arrives behind its base", "[polymorphic]") {
  std::unique_ptr<Animal> const unique = std::make_unique<Bird>();
  CHECK(mp::loads<std::unique_ptr<Animal>>(mp::dumps(unique))->legs() == 2);
  std::shared_ptr<Animal> const shared = std::make_shared<Bird>();
  CHECK(mp::loads<std::shared_ptr<Animal>>(mp::dumps(shared))->legs() == 2);
}

TEST_CASE("a class of another base is refused and nothing of it is left", "[polymorphic]") {
  auto const before = Counted::alive;
  check_is_refused<std::unique_ptr<Animal>>(std::unique_ptr<Machine>(std::make_unique<Car>()));
  check_is_refused<std::shared_ptr<Animal>>(std::shared_ptr<Machine>(std::make_shared<Car>()));
  CHECK(Counted::alive == before);
}
