// SPDX-License-Identifier: BSL-1.0
// Plain structs: what can be told of their members without a word from their author.
#pragma once

#include <concepts>
#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

#include <boost/pfr/core.hpp>

namespace multiprocessing::wire {

template <class... Types>
struct TypeList {};

namespace aggregate_detail {

// Each stands for the initial value of a member, where only the question is asked whether a T could
// be made of such. They are never called.

/// Of any type.
template <class T>
struct Anything {
  template <class U>
  requires(!std::same_as<U, T>) operator U() const { __builtin_unreachable(); }
};
/// ... when it is a class of at least `size` bytes.
template <std::size_t size>
struct LargeClass {
  template <class U>
  requires(std::is_class_v<U> && sizeof(U) >= size) operator U() const { __builtin_unreachable(); }
};
/// ... of exactly `size` bytes. `which` makes two of them different types, so that nobody takes
/// them for a pair of iterators.
template <std::size_t size, int which>
struct ClassOf {
  template <class U>
  requires(std::is_class_v<U> && sizeof(U) == size) operator U() const { __builtin_unreachable(); }
};
struct AnyUnion {
  template <class U>
  requires std::is_union_v<U>
  operator U() const { __builtin_unreachable(); }
};
/// ... when it is a base of T.
template <class T>
struct BaseOf {
  template <class U>
  requires(std::is_base_of_v<U, T> && !std::same_as<U, T>) operator U() const {
    __builtin_unreachable();
  }
};

inline constexpr std::size_t kTooMany = 256;  // more values than anybody writes by hand

template <class Each, std::size_t>
using Repeat = Each;

template <class T, class Each, std::size_t... i>
consteval bool is_made_of(std::index_sequence<i...>) {
  return requires { T{Repeat<Each, i>{}...}; };
}
/// T{each, each, ...}, `n` of them.
template <class T, class Each, std::size_t n>
inline constexpr bool kIsMadeOf = is_made_of<T, Each>(std::make_index_sequence<n>{});

template <class T, class Each, std::size_t... i, std::size_t... j>
consteval bool takes_many_at(std::index_sequence<i...>, std::index_sequence<j...>) {
  return requires { T{Repeat<Anything<T>, i>{}..., {Repeat<Each, j>{}...}}; };
}
/// Whether {each, each, ...} may stand at place `n`, more than any array has here.
template <class T, class Each, std::size_t n>
inline constexpr bool kTakesManyAt = takes_many_at<T, Each>(std::make_index_sequence<n>{},
                                                            std::make_index_sequence<kTooMany>{});

template <class T, class Each, std::size_t... i>
consteval bool takes_at(std::index_sequence<i...>) {
  return requires { T{Repeat<Anything<T>, i>{}..., Each{}}; };
}
/// Whether `Each` may stand at place `n`.
template <class T, class Each, std::size_t n>
inline constexpr bool kTakesAt = takes_at<T, Each>(std::make_index_sequence<n>{});

template <class T, class First, class Second, std::size_t... i>
consteval bool takes_two_at(std::index_sequence<i...>) {
  return requires { T{Repeat<Anything<T>, i>{}..., {First{}, Second{}}}; };
}
/// Whether {first, second} may stand at place `n`.
template <class T, class First, class Second, std::size_t n>
inline constexpr bool kTakesTwoAt = takes_two_at<T, First, Second>(std::make_index_sequence<n>{});

/// How many values T's members take, where each element of an array takes its own; kTooMany when
/// there are as many or more.
template <class T, std::size_t n = 0, bool found = false>
consteval std::size_t count_values() {
  if constexpr (n == kTooMany) {
    return kTooMany;
  } else if constexpr (kIsMadeOf<T, Anything<T>, n>) {
    return count_values<T, n + 1, true>();
  } else if constexpr (found) {  // what can be left out stands at the end
    return n - 1;
  } else {
    return count_values<T, n + 1, false>();
  }
}
template <class T>
inline constexpr std::size_t kValues = count_values<T>();

template <class T, std::size_t n, std::size_t low, std::size_t high>
consteval std::size_t size_of_class_at() {
  if constexpr (low == high) {
    return low;
  } else if constexpr (constexpr auto middle = low + (high - low + 1) / 2;
                       kTakesAt<T, LargeClass<middle>, n>) {
    return size_of_class_at<T, n, middle, high>();
  } else {
    return size_of_class_at<T, n, low, middle - 1>();
  }
}
/// Two elements of an array are as large as one; two members of a member are larger.
template <class T, std::size_t n>
consteval bool has_array_at() {
  if constexpr (!kTakesAt<T, LargeClass<1>, n>) {
    return kTakesTwoAt<T, Anything<T>, Anything<T>, n>;
  } else {
    constexpr auto size = size_of_class_at<T, n, 1, sizeof(T)>();
    return kTakesTwoAt<T, ClassOf<size, 1>, ClassOf<size, 2>, n> &&
           !kTakesManyAt<T, ClassOf<size, 1>, n>;  // that is a container, and an initializer list
  }
}
template <class T, std::size_t... i>
consteval bool has_array(std::index_sequence<i...>) {
  return (has_array_at<T, i>() || ...);
}

template <class T, std::size_t... i>
consteval bool has_union(std::index_sequence<i...>) {
  return (kTakesAt<T, AnyUnion, i> || ...);
}

}  // namespace aggregate_detail

/// A struct whose members the library could visit one by one.
template <class T>
concept Aggregate = std::is_class_v<T> && std::is_aggregate_v<T> && !std::is_empty_v<T>;

/// Why they can not be visited, nevertheless.
enum class AggregateFault { None, HasBase, CanNotBeAssigned, HasTooManyFields, HasArray, HasUnion };

namespace aggregate_detail {
inline constexpr std::size_t kMostFields = 100;  // of Boost.PFR

template <Aggregate T>
consteval AggregateFault find_fault() {
  if constexpr (kTakesAt<T, BaseOf<T>, 0>) {
    return AggregateFault::HasBase;
  } else if constexpr (!std::is_move_constructible_v<T> || !std::is_move_assignable_v<T>) {
    return AggregateFault::CanNotBeAssigned;
  } else if constexpr (has_array<T>(std::make_index_sequence<kValues<T>>{})) {
    return AggregateFault::HasArray;
  } else if constexpr (has_union<T>(std::make_index_sequence<kValues<T>>{})) {
    return AggregateFault::HasUnion;
  } else if constexpr (kValues<T> > kMostFields) {
    return AggregateFault::HasTooManyFields;
  } else {
    return AggregateFault::None;
  }
}

// Boost.PFR counts fields itself, but asks g++ 12 in a way that crashes it where a member has a
// default that is a class. So it is told how many there are.
template <class T>
constexpr auto tie(T& value) {
  return boost::pfr::detail::tie_as_tuple(
      value, boost::pfr::detail::size_t_<kValues<std::remove_const_t<T>>>{});
}
template <class... Types>
TypeList<Types...> types_in(boost::pfr::detail::sequence_tuple::tuple<Types&...> const&);

}  // namespace aggregate_detail

template <Aggregate T>
inline constexpr AggregateFault kAggregateFault = aggregate_detail::find_fault<T>();

/// A TypeList. REQUIRES: kAggregateFault<T> is None.
template <Aggregate T>
using FieldTypes = decltype(aggregate_detail::types_in(aggregate_detail::tie(std::declval<T&>())));

/// Calls `visit(field, i)` for each field in order, where `i` is its number, from 0, as a
/// std::integral_constant. REQUIRES: kAggregateFault<T> is None.
template <class T, class Visit>
void for_each_numbered_field(T& value, Visit const& visit) {
  auto const fields = aggregate_detail::tie(value);
  [&]<std::size_t... i>(std::index_sequence<i...>) {
    (visit(boost::pfr::detail::sequence_tuple::get<i>(fields),
           std::integral_constant<std::size_t, i>{}),
     ...);
  }
  (std::make_index_sequence<aggregate_detail::kValues<std::remove_const_t<T>>>{});
}

/// Calls `visit(field)` for each.
template <class T, class Visit>
void for_each_field(T& value, Visit const& visit) {
  for_each_numbered_field(value, [&](auto& field, auto) { visit(field); });
}

}  // namespace multiprocessing::wire
