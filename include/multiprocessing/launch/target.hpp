// SPDX-License-Identifier: BSL-1.0
// What a process is started for: a call, in the process itself or written down for another.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/type_name.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/callable.hpp>
#include <multiprocessing/wire/parcel.hpp>

namespace multiprocessing::launch {

class Target {
 public:
  Target() = default;
  Target(Target const&) = delete;
  Target& operator=(Target const&) = delete;
  virtual ~Target() = default;

  /// Once.
  virtual void run() = 0;

  /// Whether it goes on to use the socket by which its process was started.
  virtual bool wants_socket() const { return false; }

  /// Writes it behind what is there, so that read_target() finds it in another run of the program.
  /// Throws: TypeError when it can not be sent, what its parts' own functions throw.
  virtual void save(wire::Bytes& bytes, wire::Parcel& parcel) const = 0;
};

/// How a Target of some type is read.
using TargetReader = std::unique_ptr<Target>(std::span<std::byte const>& bytes,
                                             wire::Parcel const& parcel);

/// A function and its arguments, as copies.
template <class F, class... Args>
class CallTarget final : public Target {
 public:
  template <class... Parts>
  explicit CallTarget(std::in_place_t, Parts&&... parts) : parts_(std::forward<Parts>(parts)...) {}

  void run() override {
    std::apply([](auto&&... parts) { std::invoke(std::move(parts)...); }, std::move(parts_));
  }

  void save(wire::Bytes& bytes, wire::Parcel& parcel) const override {
    if constexpr (kCanBeSent) {
      TargetReader* const reader = &read;
      wire::encode(bytes, reader, parcel);
      std::apply([&](auto const&... part) { (wire::encode(bytes, part, parcel), ...); }, parts_);
    } else {
      throw TypeError("a process that is not forked is sent its function and arguments, and " +
                      base::type_name(typeid(Parts)) +
                      " can not be sent (what dumps() of each part says when it is compiled tells "
                      "why); start method fork takes everything");
    }
  }

 private:
  using Parts = std::tuple<F, Args...>;
  static constexpr bool kCanBeSent = wire::Sendable<F> && (wire::Picklable<Args> && ...);
  // Asked for here, because GCC 12 denies it to lambdas from within virtual functions.
  static_assert(kCanBeSent || !kCanBeSent);

  static std::unique_ptr<Target> read(std::span<std::byte const>& bytes,
                                      wire::Parcel const& parcel) {
    auto const modules = os::ModuleTable::now();
    // The braces keep the order.
    return std::unique_ptr<Target>(new CallTarget{Read{}, wire::decode<F>(bytes, parcel, &modules),
                                                  wire::decode<Args>(bytes, parcel, &modules)...});
  }
  struct Read {};
  CallTarget(Read, F&& f, Args&&... args) : parts_(std::move(f), std::move(args)...) {}

  Parts parts_;
};

/// The rest of `bytes`, as save() wrote it. Throws: UnpicklingError, also when this is another
/// build of the program; what the parts' own functions throw.
inline std::unique_ptr<Target> read_target(std::span<std::byte const> bytes,
                                           wire::Parcel const& parcel) {
  auto const modules = os::ModuleTable::now();
  auto* const reader = wire::decode<TargetReader*>(bytes, parcel, &modules);
  auto target = reader(bytes, parcel);
  if (!bytes.empty()) throw UnpicklingError("bytes are left behind the arguments of a process");
  return target;
}

}  // namespace multiprocessing::launch
