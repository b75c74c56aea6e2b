// SPDX-License-Identifier: BSL-1.0
// Values as bytes: what crosses from process to process.
//
// The bytes are those of this program: another build, compiler or processor does not read them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <typeinfo>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/type_name.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/bind.hpp>  // IWYU pragma: export
#include <multiprocessing/wire/picklable.hpp>
#include <multiprocessing/wire/refusal.hpp>
#include <multiprocessing/wire/type_hash.hpp>

namespace multiprocessing {

/// What dumps() returns. Python: bytes
using Bytes = wire::Bytes;

/// Can be sent to another process, by Pool.map and dumps(). Without code of the user: arithmetic
/// types, enums, strings, the containers and vocabulary types of the standard library, smart
/// pointers (shared objects stay shared, also in cycles), structs of all these, and functions,
/// lambdas and function objects that hold only such. Other classes need cereal's functions:
/// `serialize`, or `save` and `load`, as members or beside the class. Pointers, references and
/// views are refused.
template <class T>
concept Picklable = wire::Picklable<T>;

/// The value as bytes. Equal values give equal bytes, unless they differ in their bits (0.0, -0.0)
/// or are kept in unordered containers.
///
/// Threads: safe. Throws: PicklingError when it is nested too deeply, points to a derived class
/// that was not registered with CEREAL_REGISTER_TYPE, holds a function of no loaded module, or a
/// shared object, which can only be sent;
/// std::bad_alloc; what the type's own functions throw. Python: pickle.dumps
template <class T>
[[nodiscard]] Bytes dumps(T const& value) {
  wire::require_picklable<T>();
  Bytes bytes;
  if constexpr (Picklable<T>) {
    constexpr auto type = wire::kTypeHash<T>;
    constexpr std::size_t kUsually = 192;  // enough, so that memory is asked for once
    bytes.reserve(kUsually);
    bytes.resize(sizeof type);
    std::memcpy(bytes.data(), &type, sizeof type);
    wire::encode(bytes, value);
  }
  return bytes;
}

/// The value that dumps() was given. Damaged or hostile bytes throw or make a wrong value; what
/// they can do beyond that is in docs/limits.md. Function pointers among them are as good as their
/// sender.
///
/// Threads: safe. Throws: TypeError when they hold another type than T. UnpicklingError when they
/// are damaged, hold more than a T, or a function of a module or build that is not loaded here.
/// std::bad_alloc; what the type's own functions throw. Python: pickle.loads
template <class T>
[[nodiscard]] T loads(std::span<std::byte const> bytes) {
  wire::require_picklable<T>();
  if constexpr (Picklable<T>) {
    std::uint64_t type = 0;
    if (bytes.size() < sizeof type) throw UnpicklingError("loads: the bytes end too early");
    std::memcpy(&type, bytes.data(), sizeof type);
    if (type != wire::kTypeHash<std::remove_const_t<T>>) {
      throw TypeError("loads: the bytes hold another type than " + base::type_name(typeid(T)));
    }
    bytes = bytes.subspan(sizeof type);
    T value = wire::decode<std::remove_const_t<T>>(bytes);
    if (!bytes.empty()) {
      throw UnpicklingError("loads: " + std::to_string(bytes.size()) +
                            " bytes are left behind the value");
    }
    return value;
  }
}

}  // namespace multiprocessing
