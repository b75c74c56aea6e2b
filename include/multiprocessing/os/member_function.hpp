// SPDX-License-Identifier: BSL-1.0
// What is in a pointer to a member function, by the Itanium C++ ABI.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace multiprocessing::os {

struct MemberFunction {
  std::uintptr_t word;        ///< an address, or where in the table of virtual functions
  std::ptrdiff_t adjustment;  ///< of `this`

#if defined(__aarch64__)
  bool is_virtual() const noexcept { return (adjustment & 1) != 0; }
#else
  bool is_virtual() const noexcept { return (word & 1) != 0; }
#endif
};

template <class Pointer>
requires std::is_member_function_pointer_v<Pointer> MemberFunction take_apart(Pointer pointer)
noexcept {
  static_assert(sizeof(Pointer) == sizeof(MemberFunction), "another ABI");
  return std::bit_cast<MemberFunction>(pointer);
}

template <class Pointer>
requires std::is_member_function_pointer_v<Pointer> Pointer put_together(MemberFunction parts)
noexcept { return std::bit_cast<Pointer>(parts); }

}  // namespace multiprocessing::os
