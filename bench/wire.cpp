// SPDX-License-Identifier: BSL-1.0
// Values to bytes and back, beside the libraries that C++ programs use for this.
//
//   X_encode/P      the value is written
//   X_decode/P      the value is made from what was written, and destroyed
//   X_round_trip/P  one after the other
//     wire            this library's, to preallocated memory and from it: what queues and pools do
//     dumps           mp::dumps and mp::loads: to memory that is allocated for it, with the type
//     cereal          cereal's binary archives, on one std::stringstream that is rewound
//     boost           Boost.Serialization's, without header and tracking, on the same
//     copy            memcpy to the same memory; a std::vector constructed from what is there
//
// P: what is sent.
//   small           5 scalars, a string of 11, 16 bytes, a map of 2 numbers by their names
//   doubles/N       N doubles: 1'000 are in the nearest cache, a million in none that is near
//   points          100'000 structs of 3 doubles
//   padded/N        N structs of int, double and bool: 1'000 nearly fill the nearest cache
//   named           100'000 structs of a string of 11 and a double
//   tree            10'000 nodes, each owned by another, up to 405 deep
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iostream>
#include <map>
#include <memory>
#include <span>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>
#include <cereal/archives/binary.hpp>
#include <multiprocessing/pickle.hpp>

#if defined(BENCH_WITH_BOOST_SERIALIZATION)
#include <boost/archive/binary_iarchive.hpp>
#include <boost/archive/binary_oarchive.hpp>
#include <boost/serialization/map.hpp>
#include <boost/serialization/string.hpp>
#include <boost/serialization/tracking.hpp>
#include <boost/serialization/unique_ptr.hpp>
#include <boost/serialization/vector.hpp>
#endif

namespace payload {

struct Small {
  std::int32_t id;
  std::int64_t time;
  double price;
  float weight;
  bool flag;
  std::string name;
  std::vector<std::uint8_t> digest;
  std::map<std::string, double> rates;
  bool operator==(Small const&) const = default;
};

struct Point {
  double x;
  double y;
  double z;
  bool operator==(Point const&) const = default;
};

struct Padded {
  std::int32_t id;
  double value;
  bool flag;
  bool operator==(Padded const&) const = default;
};

struct Named {
  std::string name;
  double value;
  bool operator==(Named const&) const = default;
};

struct Tree {
  std::int64_t value;
  std::unique_ptr<Tree> left;
  std::unique_ptr<Tree> right;
};
bool same(std::unique_ptr<Tree> const& a, std::unique_ptr<Tree> const& b);
bool operator==(Tree const& a, Tree const& b) {
  return a.value == b.value && same(a.left, b.left) && same(a.right, b.right);
}
bool same(std::unique_ptr<Tree> const& a, std::unique_ptr<Tree> const& b) {
  return a == nullptr || b == nullptr ? a == b : *a == *b;
}

// The peers have to be told the members. This library is not: it takes them for plain structs.

#if defined(BENCH_WITH_BOOST_SERIALIZATION)
using BoostOutput = boost::archive::binary_oarchive;
using BoostInput = boost::archive::binary_iarchive;
#else
using BoostOutput = void;
using BoostInput = void;
#endif

template <class Archive>
concept OfCereal = std::is_same_v<Archive, cereal::BinaryOutputArchive> ||
    std::is_same_v<Archive, cereal::BinaryInputArchive>;
template <class Archive>
concept OfBoost = std::is_same_v<Archive, BoostOutput> || std::is_same_v<Archive, BoostInput>;

void visit(auto& archive, Small& x) {
  archive& x.id& x.time& x.price& x.weight& x.flag& x.name& x.digest& x.rates;
}
void visit(auto& archive, Point& x) { archive& x.x& x.y& x.z; }
void visit(auto& archive, Padded& x) { archive& x.id& x.value& x.flag; }
void visit(auto& archive, Named& x) { archive& x.name& x.value; }
void visit(auto& archive, Tree& x) { archive& x.value& x.left& x.right; }

template <class Archive, class T>
concept Visitable = requires(Archive& archive, T& x) {
  visit(archive, x);
};

template <OfCereal Archive, class T>
requires Visitable<Archive, T>
void serialize(Archive& archive, T& x) { visit(archive, x); }
template <OfBoost Archive, class T>
requires Visitable<Archive, T>
void serialize(Archive& archive, T& x, unsigned) { visit(archive, x); }

}  // namespace payload

#if defined(BENCH_WITH_BOOST_SERIALIZATION)
BOOST_CLASS_IMPLEMENTATION(payload::Small, boost::serialization::object_serializable)
BOOST_CLASS_IMPLEMENTATION(payload::Point, boost::serialization::object_serializable)
BOOST_CLASS_IMPLEMENTATION(payload::Padded, boost::serialization::object_serializable)
BOOST_CLASS_IMPLEMENTATION(payload::Named, boost::serialization::object_serializable)
BOOST_CLASS_TRACKING(payload::Small, boost::serialization::track_never)
BOOST_CLASS_TRACKING(payload::Point, boost::serialization::track_never)
BOOST_CLASS_TRACKING(payload::Padded, boost::serialization::track_never)
BOOST_CLASS_TRACKING(payload::Named, boost::serialization::track_never)
BOOST_CLASS_TRACKING(payload::Tree, boost::serialization::track_never)
BOOST_IS_BITWISE_SERIALIZABLE(payload::Point)
#endif

namespace {

namespace mp = multiprocessing;

// What is sent.

struct SmallOne {
  static constexpr auto kName = "small";
  static auto make() {
    return payload::Small{7,
                          1'700'000'000'000,
                          99.5,
                          0.25F,
                          true,
                          "hello world",
                          std::vector<std::uint8_t>(16, 0xab),
                          {{"EUR", 1.08}, {"GBP", 1.27}}};
  }
};

template <std::size_t n>
struct Doubles {
  static constexpr auto kName = n == 1000 ? "doubles/1000" : "doubles/1000000";
  static auto make() {
    std::vector<double> values(n);
    for (std::size_t i = 0; i < n; ++i) values[i] = static_cast<double>(i) * 0.5;
    return values;
  }
};

constexpr std::size_t kStructs = 100'000;

struct Points {
  static constexpr auto kName = "points";
  static auto make() { return std::vector<payload::Point>(kStructs, {1.5, 2.5, 3.5}); }
};
template <std::size_t n>
struct PaddedOnes {
  static constexpr auto kName = n == 1000 ? "padded/1000" : "padded/100000";
  static auto make() { return std::vector<payload::Padded>(n, {1, 2.5, true}); }
};
struct NamedOnes {
  static constexpr auto kName = "named";
  static auto make() { return std::vector<payload::Named>(kStructs, {"hello world", 2.5}); }
};

struct DeepTree {
  static constexpr auto kName = "tree";
  static constexpr int kSpine = 400;
  static constexpr int kBranch = 24;  // nodes at each of the spine's

  static std::unique_ptr<payload::Tree> balanced(int nodes) {
    if (nodes == 0) return nullptr;
    auto const left = (nodes - 1) / 2;
    return std::make_unique<payload::Tree>(
        payload::Tree{nodes, balanced(left), balanced(nodes - 1 - left)});
  }
  static auto make() {
    payload::Tree root{0, nullptr, balanced(kBranch)};
    for (int i = 1; i < kSpine; ++i) {
      root = payload::Tree{i, std::make_unique<payload::Tree>(std::move(root)), balanced(kBranch)};
    }
    return root;
  }
};

// Who sends it. Made with the value, so that memory is there; encode() before decode().

struct Wire {
  mp::Bytes room;

  explicit Wire(auto const& value) : room(mp::wire::encode_into({}, value)) {}
  std::size_t size() const { return room.size(); }
  void encode(auto const& value) { mp::wire::encode_into(room, value); }
  template <class T>
  T decode() {
    std::span<std::byte const> bytes = room;
    return mp::wire::decode<T>(bytes);
  }
};

struct Dumps {
  mp::Bytes bytes;

  explicit Dumps(auto const&) {}
  std::size_t size() const { return bytes.size(); }
  void encode(auto const& value) { bytes = mp::dumps(value); }
  template <class T>
  T decode() {
    return mp::loads<T>(bytes);
  }
};

struct Stream {
  std::stringstream stream{std::ios::in | std::ios::out | std::ios::binary};

  std::size_t size() { return static_cast<std::size_t>(stream.tellp()); }
  std::stringstream& from_the_start() {
    stream.seekp(0);
    stream.seekg(0);
    return stream;
  }
};

struct Cereal : Stream {
  explicit Cereal(auto const&) {}
  void encode(auto const& value) {
    cereal::BinaryOutputArchive archive(from_the_start());
    archive(value);
  }
  template <class T>
  T decode() {
    stream.seekg(0);
    cereal::BinaryInputArchive archive(stream);
    T value{};
    archive(value);
    return value;
  }
};

#if defined(BENCH_WITH_BOOST_SERIALIZATION)
struct Boost : Stream {
  static constexpr unsigned kFlags = boost::archive::no_header | boost::archive::no_tracking;

  explicit Boost(auto const&) {}
  void encode(auto const& value) {
    boost::archive::binary_oarchive archive(from_the_start(), kFlags);
    archive << value;
  }
  template <class T>
  T decode() {
    stream.seekg(0);
    boost::archive::binary_iarchive archive(stream, kFlags);
    T value{};
    archive >> value;
    return value;
  }
};
#endif

struct Copy {
  mp::Bytes room;

  template <class T>
  explicit Copy(std::vector<T> const& values) : room(values.size() * sizeof(T)) {}
  std::size_t size() const { return room.size(); }
  template <class T>
  void encode(std::vector<T> const& values) {
    std::memcpy(room.data(), values.data(), room.size());
  }
  template <class Vector>
  Vector decode() {
    using T = typename Vector::value_type;
    auto const* const first = reinterpret_cast<T const*>(room.data());
    return Vector(first, first + room.size() / sizeof(T));
  }
};

// What is measured.

template <class Peer, class Payload>
void encode(benchmark::State& state) {
  auto const value = Payload::make();
  Peer peer(value);
  peer.encode(value);  // what grows has grown
  for (auto _ : state) {
    peer.encode(value);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(peer.size()));
}

template <class Peer, class Payload>
void decode(benchmark::State& state) {
  auto const value = Payload::make();
  using T = std::remove_const_t<decltype(value)>;
  Peer peer(value);
  peer.encode(value);
  auto const size = peer.size();
  if (!(peer.template decode<T>() == value)) return state.SkipWithError("another value came out");
  for (auto _ : state) {
    T const made = peer.template decode<T>();
    benchmark::DoNotOptimize(&made);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(size));
}

template <class Peer, class Payload>
void round_trip(benchmark::State& state) {
  auto const value = Payload::make();
  Peer peer(value);
  peer.encode(value);
  for (auto _ : state) {
    peer.encode(value);
    benchmark::ClobberMemory();
    auto const made = peer.template decode<std::remove_const_t<decltype(value)>>();
    benchmark::DoNotOptimize(&made);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(peer.size()));
}

template <class Peer, class... Payloads>
void add(std::string const& peer) {
  auto const each = [&]<class Payload>(std::type_identity<Payload>) {
    auto const name = [&](char const* what) { return peer + what + Payload::kName; };
    benchmark::RegisterBenchmark(name("_encode/").c_str(), &encode<Peer, Payload>);
    benchmark::RegisterBenchmark(name("_decode/").c_str(), &decode<Peer, Payload>);
    benchmark::RegisterBenchmark(name("_round_trip/").c_str(), &round_trip<Peer, Payload>);
  };
  (each(std::type_identity<Payloads>{}), ...);
}

template <class Peer>
void add_all(std::string const& peer) {
  add<Peer, SmallOne, Doubles<1000>, Doubles<1'000'000>, Points, PaddedOnes<1000>,
      PaddedOnes<kStructs>, NamedOnes, DeepTree>(peer);
}

}  // namespace

int main(int argc, char** argv) {
  add_all<Wire>("wire");
  add_all<Dumps>("dumps");
  add_all<Cereal>("cereal");
#if defined(BENCH_WITH_BOOST_SERIALIZATION)
  add_all<Boost>("boost");
#else
  std::cerr << "Boost.Serialization was not found: its cases are left out\n";
#endif
  add<Copy, Doubles<1000>, Doubles<1'000'000>, Points, PaddedOnes<1000>, PaddedOnes<kStructs>>(
      "copy");
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
