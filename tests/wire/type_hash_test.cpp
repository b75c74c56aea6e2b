// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/wire/type_hash.hpp>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "../support/catch.hpp"

namespace type_hash_test {

namespace wire = multiprocessing::wire;

namespace {

struct Inner {
  int number;
};
struct Recursive {
  std::vector<Recursive> more;
  std::unique_ptr<Recursive> next;
};
struct One {
  std::string text;
  int number;
};
struct Other {
  std::string text;
  int number;
};

template <class T>
std::uint64_t hash_at_run_time() {
  return wire::kTypeHash<T>;
}

}  // namespace

TEST_CASE("types have numbers of their own", "[type_hash]") {
  std::set<std::uint64_t> const numbers = {
      wire::kTypeHash<int>,
      wire::kTypeHash<unsigned>,
      wire::kTypeHash<long>,
      wire::kTypeHash<long long>,
      wire::kTypeHash<std::string>,
      wire::kTypeHash<std::u32string>,
      wire::kTypeHash<std::vector<int>>,
      wire::kTypeHash<std::vector<unsigned>>,
      wire::kTypeHash<std::array<int, 2>>,
      wire::kTypeHash<std::array<int, 3>>,
      wire::kTypeHash<std::map<int, int>>,
      wire::kTypeHash<std::multimap<int, int>>,
      wire::kTypeHash<std::unique_ptr<int>>,
      wire::kTypeHash<std::shared_ptr<int>>,
      wire::kTypeHash<Inner>,
      wire::kTypeHash<One>,
      wire::kTypeHash<Other>,
      wire::kTypeHash<Recursive>,
      wire::kTypeHash<int (*)(int)>,
      wire::kTypeHash<int (*)(long)>,
  };
  CHECK(numbers.size() == 20);
}

TEST_CASE("a type has one number", "[type_hash]") {
  CHECK(wire::kTypeHash<Recursive> == hash_at_run_time<Recursive>());
  CHECK(wire::kTypeHash<One> == hash_at_run_time<One>());
}

TEST_CASE("other members give another number", "[type_hash]") {
  using wire::TypeList;
  using wire::type_hash_detail::hash_all;
  STATIC_REQUIRE(hash_all(TypeList<int, std::string>{}, TypeList<>{}) !=
                 hash_all(TypeList<std::string, int>{}, TypeList<>{}));
  STATIC_REQUIRE(hash_all(TypeList<int>{}, TypeList<>{}) !=
                 hash_all(TypeList<int, int>{}, TypeList<>{}));
  STATIC_REQUIRE(hash_all(TypeList<One>{}, TypeList<>{}) !=
                 hash_all(TypeList<Other>{}, TypeList<>{}));
}

}  // namespace type_hash_test
