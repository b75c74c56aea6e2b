// SPDX-License-Identifier: BSL-1.0
// Pointers to functions and members: as a place in a module, which address randomisation, exec and
// shared libraries don't change, where a plain address would be a guess.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/os/member_function.hpp>
#include <multiprocessing/os/module.hpp>
#include <multiprocessing/wire/cereal_types.hpp>
#include <multiprocessing/wire/decoder.hpp>
#include <multiprocessing/wire/encoder.hpp>

namespace multiprocessing::wire {

/// Code in any process that has loaded the same build of the same module. All zeros: nowhere.
struct CodePlace {
  std::uint64_t module = 0;
  std::uint64_t offset = 0;
  std::array<char, 48> name{};  ///< of the module's file, cut off; empty for the program itself

  friend bool operator==(CodePlace const&, CodePlace const&) = default;
};

namespace code_pointer_detail {

inline std::string_view file_name(std::string_view path) {
  return path.substr(path.find_last_of('/') + 1).substr(0, sizeof CodePlace::name - 1);
}
inline std::string_view name_in(CodePlace const& place) {
  return {place.name.data(), ::strnlen(place.name.data(), place.name.size())};
}

inline CodePlace place_of_address(std::uintptr_t address) {
  if (address == 0) return {};
  auto const module = os::module_at(address);
  if (!module)
    throw PicklingError("this function lies in no loaded module: no other process has it");
  CodePlace place{module->identity, address - module->base, {}};
  auto const name = file_name(module->path);
  std::copy(name.begin(), name.end(), place.name.begin());
  return place;
}

[[noreturn]] inline void throw_missing(CodePlace const& place, os::ModuleTable const& modules) {
  auto const name = name_in(place);
  if (name.empty()) throw UnpicklingError("this child runs another build of the program");
  if (modules.any([&](os::Module const& each) { return file_name(each.path) == name; })) {
    throw UnpicklingError("this child runs another build of " + std::string(name));
  }
  throw UnpicklingError("module " + std::string(name) + " is not loaded in the child");
}

/// Throws: UnpicklingError where code is not accepted, wherever it is.
inline void require_code(os::ModuleTable const& modules) {
  if (modules.is_empty()) {
    throw UnpicklingError("decoding meets a function, and none is accepted from another program");
  }
}

inline std::uintptr_t address_at(CodePlace const& place, os::ModuleTable const& modules) {
  if (place == CodePlace{}) return 0;
  require_code(modules);
  auto const* const module = modules.find(place.module);
  if (module == nullptr) throw_missing(place, modules);
  if (!module->has_code_at(place.offset)) {
    throw UnpicklingError("decoding meets a function where there is no code");
  }
  return module->base + place.offset;
}

}  // namespace code_pointer_detail

/// Throws: PicklingError when the function lies in no loaded module (code made at run time).
template <class Function>
requires std::is_function_v<Function> CodePlace place_of(Function* function) {
  return code_pointer_detail::place_of_address(reinterpret_cast<std::uintptr_t>(function));
}

/// Throws: UnpicklingError when the module, or this build of it, is not among `modules`.
template <class Function>
Function* function_at(CodePlace const& place, os::ModuleTable const& modules) {
  return reinterpret_cast<Function*>(code_pointer_detail::address_at(place, modules));
}

namespace archive {

// These have to be what cereal's function for all pointers is, which refuses them, and more
// special.
template <class Function>
requires std::is_function_v<Function>
void CEREAL_SERIALIZE_FUNCTION_NAME(Encoder& encoder, Function*& function) {
  auto const place = place_of(function);
  encoder.write(&place, sizeof place);
}
template <class Function>
requires std::is_function_v<Function>
void CEREAL_SERIALIZE_FUNCTION_NAME(Decoder& decoder, Function*& function) {
  CodePlace place;
  decoder.read(&place, sizeof place);
  function = function_at<Function>(place, decoder.modules());
}

struct MemberFunctionPlace {
  CodePlace place;         // nowhere, when it is virtual
  std::uint64_t word = 0;  // of a virtual function
  std::int64_t adjustment = 0;
};

template <class Pointer>
requires std::is_member_function_pointer_v<Pointer>
void CEREAL_SAVE_FUNCTION_NAME(Encoder& encoder, Pointer const& pointer) {
  auto const parts = os::take_apart(pointer);
  MemberFunctionPlace written;
  written.adjustment = parts.adjustment;
  if (parts.is_virtual()) {
    written.word = parts.word;
  } else {
    written.place = code_pointer_detail::place_of_address(parts.word);
  }
  encoder.write(&written, sizeof written);
}
template <class Pointer>
requires std::is_member_function_pointer_v<Pointer>
void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder, Pointer& pointer) {
  MemberFunctionPlace read;
  decoder.read(&read, sizeof read);
  os::MemberFunction parts{read.word, read.adjustment};
  if (parts.is_virtual()) {
    code_pointer_detail::require_code(decoder.modules());
  } else {
    parts.word = code_pointer_detail::address_at(read.place, decoder.modules());
  }
  pointer = os::put_together<Pointer>(parts);
}

// An offset in the class; -1 for none.
template <class Member, class Class>
void check_member(Member Class::*pointer) {
  auto const offset = std::bit_cast<std::ptrdiff_t>(pointer);
  if (offset == -1) return;
  if (offset < 0 || static_cast<std::size_t>(offset) > sizeof(Class) - sizeof(Member)) {
    throw UnpicklingError("decoding meets a member that its class has not");
  }
}
template <class Pointer>
requires std::is_member_object_pointer_v<Pointer>
void CEREAL_SAVE_FUNCTION_NAME(Encoder& encoder, Pointer const& pointer) {
  encoder.write(&pointer, sizeof pointer);
}
template <class Pointer>
requires std::is_member_object_pointer_v<Pointer>
void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder, Pointer& pointer) {
  decoder.read(&pointer, sizeof pointer);
  check_member(pointer);
}

}  // namespace archive

}  // namespace multiprocessing::wire
