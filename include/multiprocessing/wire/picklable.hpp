// SPDX-License-Identifier: BSL-1.0
// Which types can be sent to another process, and for those that can not: which part of them is to
// blame, and what to do instead.
#pragma once

#include <array>
#include <atomic>
#include <bitset>
#include <chrono>
#include <complex>
#include <concepts>
#include <cstddef>
#include <deque>
#include <forward_list>
#include <functional>
#include <initializer_list>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <span>
#include <stack>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <valarray>
#include <variant>
#include <vector>

#include <multiprocessing/wire/aggregate.hpp>
#include <multiprocessing/wire/cereal_types.hpp>
#include <multiprocessing/wire/representation.hpp>

namespace multiprocessing::wire {

/// Why a type can not be sent.
enum class Refusal {
  None,
  RawPointer,
  Reference,
  View,
  StdFunction,
  CallableWithCaptures,
  Array,
  NoValue,  // void, volatile
  PolicyWithState,
  NoDefaultConstructor,
  CanNotBeMoved,
  NoFunctions,
  OpaqueBytes,
  AggregateWithBase,
  AggregateCanNotBeAssigned,
  AggregateWithArray,
  AggregateTooLarge,
};

/// std::filesystem::path, known by its shape: who has one has included <filesystem>, which the
/// others need not read.
template <class T>
concept FilePath = requires(T const& path, typename T::string_type text) {
  { T::preferred_separator } -> std::convertible_to<typename T::value_type>;
  { path.native() } -> std::same_as<typename T::string_type const&>;
  { path.lexically_normal() } -> std::same_as<T>;
  { T(std::move(text)) };
};

namespace picklable_detail {

/// What a container or another template of the standard library is made of.
template <class T>
struct Parts {
  static constexpr bool kKnown = false;
};
template <class... Elements>
struct Of {
  static constexpr bool kKnown = true;
  using Types = TypeList<Elements...>;
};
template <class T, class A>
struct Parts<std::vector<T, A>> : Of<T> {};
template <class T, class A>
struct Parts<std::deque<T, A>> : Of<T> {};
template <class T, class A>
struct Parts<std::list<T, A>> : Of<T> {};
template <class T, class A>
struct Parts<std::forward_list<T, A>> : Of<T> {};
template <class T, class C, class A>
struct Parts<std::set<T, C, A>> : Of<T> {};
template <class T, class C, class A>
struct Parts<std::multiset<T, C, A>> : Of<T> {};
template <class T, class H, class E, class A>
struct Parts<std::unordered_set<T, H, E, A>> : Of<T> {};
template <class T, class H, class E, class A>
struct Parts<std::unordered_multiset<T, H, E, A>> : Of<T> {};
template <class K, class V, class C, class A>
struct Parts<std::map<K, V, C, A>> : Of<K, V> {};
template <class K, class V, class C, class A>
struct Parts<std::multimap<K, V, C, A>> : Of<K, V> {};
template <class K, class V, class H, class E, class A>
struct Parts<std::unordered_map<K, V, H, E, A>> : Of<K, V> {};
template <class K, class V, class H, class E, class A>
struct Parts<std::unordered_multimap<K, V, H, E, A>> : Of<K, V> {};
template <class T, class C>
struct Parts<std::queue<T, C>> : Of<T> {};
template <class T, class C>
struct Parts<std::stack<T, C>> : Of<T> {};
template <class T, class C, class L>
struct Parts<std::priority_queue<T, C, L>> : Of<T, L> {};
template <class C, class T, class A>
struct Parts<std::basic_string<C, T, A>> : Of<C> {};
template <class T>
struct Parts<std::optional<T>> : Of<T> {};
template <class... Types>
struct Parts<std::variant<Types...>> : Of<Types...> {};
template <class... Types>
struct Parts<std::tuple<Types...>> : Of<Types...> {};
template <class A, class B>
struct Parts<std::pair<A, B>> : Of<A, B> {};
template <class T, std::size_t n>
struct Parts<std::array<T, n>> : Of<T> {};
template <class T>
struct Parts<std::valarray<T>> : Of<T> {};
template <class T>
struct Parts<std::atomic<T>> : Of<T> {};
template <class T>
struct Parts<std::complex<T>> : Of<T> {};
template <std::size_t n>
struct Parts<std::bitset<n>> : Of<> {};
template <class R, class P>
struct Parts<std::chrono::duration<R, P>> : Of<R> {};
template <class C, class D>
struct Parts<std::chrono::time_point<C, D>> : Of<D> {};
template <FilePath T>
struct Parts<T> : Of<> {};

/// Smart pointers, to what they point to.
template <class T>
struct Pointee {
  static constexpr bool kKnown = false;
};
template <class T>
struct To {
  static constexpr bool kKnown = true;
  using Type = std::remove_cv_t<T>;
};
template <class T, class D>
struct Pointee<std::unique_ptr<T, D>> : To<T> {};
template <class T>
struct Pointee<std::shared_ptr<T>> : To<T> {};
template <class T>
struct Pointee<std::weak_ptr<T>> : To<T> {};

template <class T>
inline constexpr bool kIsVectorOrString = false;
template <class T, class A>
inline constexpr bool kIsVectorOrString<std::vector<T, A>> = true;
template <class C, class T, class A>
inline constexpr bool kIsVectorOrString<std::basic_string<C, T, A>> = true;

template <class T>
inline constexpr bool kIsView = false;
template <class C, class T>
inline constexpr bool kIsView<std::basic_string_view<C, T>> = true;
template <class T, std::size_t n>
inline constexpr bool kIsView<std::span<T, n>> = true;
template <class T>
inline constexpr bool kIsView<std::initializer_list<T>> = true;

template <class T>
inline constexpr bool kIsReferenceWrapper = false;
template <class T>
inline constexpr bool kIsReferenceWrapper<std::reference_wrapper<T>> = true;

/// Comparators and hashes that are made anew are the same only if there is nothing in them; and
/// what `new` has made is for std::default_delete.
template <class T>
inline constexpr bool kHasState = false;
template <class T, class C, class A>
inline constexpr bool kHasState<std::set<T, C, A>> = !std::is_empty_v<C>;
template <class T, class C, class A>
inline constexpr bool kHasState<std::multiset<T, C, A>> = !std::is_empty_v<C>;
template <class K, class V, class C, class A>
inline constexpr bool kHasState<std::map<K, V, C, A>> = !std::is_empty_v<C>;
template <class K, class V, class C, class A>
inline constexpr bool kHasState<std::multimap<K, V, C, A>> = !std::is_empty_v<C>;
template <class T, class H, class E, class A>
inline constexpr bool kHasState<std::unordered_set<T, H, E, A>> =
    !std::is_empty_v<H> || !std::is_empty_v<E>;
template <class T, class H, class E, class A>
inline constexpr bool kHasState<std::unordered_multiset<T, H, E, A>> =
    !std::is_empty_v<H> || !std::is_empty_v<E>;
template <class K, class V, class H, class E, class A>
inline constexpr bool kHasState<std::unordered_map<K, V, H, E, A>> =
    !std::is_empty_v<H> || !std::is_empty_v<E>;
template <class K, class V, class H, class E, class A>
inline constexpr bool kHasState<std::unordered_multimap<K, V, H, E, A>> =
    !std::is_empty_v<H> || !std::is_empty_v<E>;
template <class T, class D>
inline constexpr bool kHasState<std::unique_ptr<T, D>> = !std::is_same_v<D, std::default_delete<T>>;

template <class T>
inline constexpr bool kIsArray = false;
template <class T, std::size_t n>
inline constexpr bool kIsArray<std::array<T, n>> = n != 0;  // else it has a byte that means nothing
template <class T>
inline constexpr bool kIsStdFunction = false;
template <class F>
inline constexpr bool kIsStdFunction<std::function<F>> = true;

}  // namespace picklable_detail

/// Of the standard library or of this one, so what cereal knows of it is not the user's word.
template <class T>
concept StandardType = picklable_detail::Parts<T>::kKnown || picklable_detail::Pointee<T>::kKnown;

/// Written as its own bytes, unless it is in a container, where elements go in one piece.
template <class T>
concept PlainBytes = Representable<T> && !UserSerializable<T>;

/// A contiguous range of these is one piece of bytes.
template <class T>
concept PlainElement = PlainBytes<T> ||(Representable<T>&& StandardType<T>);

/// Written as its own bytes when it is all of a message.
template <class T>
concept PlainMessage = PlainBytes<T> ||
    (PlainElement<T>&& picklable_detail::kIsArray<std::remove_cv_t<T>>);

/// Written member by member, without a word from its author.
template <class T>
concept PlainAggregate = Aggregate<T> && !PlainBytes<T> && !UserSerializable<T>;

/// Function pointers, and pointers to members.
template <class T>
concept CodePointer = (std::is_pointer_v<T> && std::is_function_v<std::remove_pointer_t<T>>) ||
                      std::is_member_pointer_v<T>;

/// Its class says how to be made from bytes: it has a static `decode_from(Decoder&)` beside its
/// `serialize`, and needs no default constructor.
template <class T>
concept DecodesItself = requires {
  typename T::DecodesItself;
};

namespace picklable_detail {

template <class T>
inline constexpr bool kIsMadeOfParts = false;
template <class... Types>
inline constexpr bool kIsMadeOfParts<std::tuple<Types...>> = true;
template <class A, class B>
inline constexpr bool kIsMadeOfParts<std::pair<A, B>> = true;

template <class Types>
inline constexpr bool kAnyIsMadeWhole = false;

template <class T>
consteval bool is_made_whole() {
  if constexpr (DecodesItself<T>) {
    return true;
  } else if constexpr (kIsMadeOfParts<T>) {
    return kAnyIsMadeWhole<typename Parts<T>::Types>;
  } else if constexpr (PlainAggregate<T> && !StandardType<T>) {
    if constexpr (kAggregateFault<T> == AggregateFault::None) {
      return kAnyIsMadeWhole<FieldTypes<T>>;
    } else {
      return false;
    }
  } else {
    return false;
  }
}
template <class... Types>
inline constexpr bool kAnyIsMadeWhole<TypeList<Types...>> =
    (is_made_whole<std::remove_cv_t<Types>>() || ...);

}  // namespace picklable_detail

/// Read by being made of its parts, instead of being made first and filled then: it or a part of
/// it, of a struct, a tuple or a pair, DecodesItself.
template <class T>
concept MadeWhole = picklable_detail::is_made_whole<T>();

namespace picklable_detail {

template <class T, Refusal why>
struct Verdict {
  using Culprit = T;
  static constexpr Refusal kWhy = why;
};
using Fine = Verdict<void, Refusal::None>;

template <class... Verdicts>
struct First {
  using Type = Fine;
};
template <class... Others>
struct First<Fine, Others...> : First<Others...> {};
template <class Verdict, class... Others>
struct First<Verdict, Others...> {
  using Type = Verdict;
};

template <class T>
consteval Refusal refusal_of_aggregate() {
  switch (kAggregateFault<T>) {
    case AggregateFault::HasBase:
      return Refusal::AggregateWithBase;
    case AggregateFault::CanNotBeAssigned:
      return Refusal::AggregateCanNotBeAssigned;
    case AggregateFault::HasTooManyFields:
      return Refusal::AggregateTooLarge;
    case AggregateFault::HasArray:
      return Refusal::AggregateWithArray;
    case AggregateFault::HasUnion:
      return Refusal::OpaqueBytes;
    case AggregateFault::None:
      break;
  }
  return Refusal::None;
}

template <class T>
concept HasCallOperator = requires {
  &T::operator();
};

/// What hinders a T, looking at the type itself only.
template <class T>
consteval Refusal own_refusal() {
  if constexpr (std::is_reference_v<T>) {
    return Refusal::Reference;
  } else if constexpr (CodePointer<T>) {
    return Refusal::None;
  } else if constexpr (std::is_pointer_v<T> || std::is_null_pointer_v<T>) {
    return Refusal::RawPointer;
  } else if constexpr (std::is_array_v<T>) {
    return Refusal::Array;
  } else if constexpr (!std::is_object_v<T> || std::is_volatile_v<T>) {
    return Refusal::NoValue;
  } else if constexpr (kIsView<T>) {
    return Refusal::View;
  } else if constexpr (kIsReferenceWrapper<T>) {
    return Refusal::Reference;
  } else if constexpr (kIsStdFunction<T>) {
    return Refusal::StdFunction;
  } else if constexpr (kHasState<T>) {
    return Refusal::PolicyWithState;
  } else if constexpr (StandardType<T> || PlainBytes<T> || DecodesItself<T>) {
    return Refusal::None;
  } else if constexpr (UserSerializable<T>) {
    return std::is_default_constructible_v<T> || LoadedByConstruction<T>
               ? Refusal::None
               : Refusal::NoDefaultConstructor;
  } else if constexpr (Aggregate<T>) {
    return refusal_of_aggregate<T>();
  } else if constexpr (HasCallOperator<T>) {
    return Refusal::CallableWithCaptures;
  } else {
    return std::is_trivially_copyable_v<T> && std::is_copy_constructible_v<T>
               ? Refusal::OpaqueBytes
               : Refusal::NoFunctions;
  }
}

template <class T, class... Above>
struct Examine;

template <class Types, class... Above>
struct ExamineAll;
template <class... Types, class... Above>
struct ExamineAll<TypeList<Types...>, Above...>
    : First<typename Examine<std::remove_cv_t<Types>, Above...>::Type...> {};

/// What a container makes before it fills it has to be made, and moved, without more ado.
template <class T>
consteval Refusal refusal_of_part() {
  if constexpr (std::is_const_v<T>) {
    return Refusal::AggregateCanNotBeAssigned;
  } else if constexpr (!std::is_default_constructible_v<T> && !MadeWhole<T>) {
    return Refusal::NoDefaultConstructor;
  } else if constexpr (!std::is_move_constructible_v<T>) {
    return Refusal::CanNotBeMoved;
  } else {
    return Refusal::None;
  }
}
template <class T>
struct PartVerdict : std::type_identity<Verdict<T, refusal_of_part<T>()>> {};
template <class T>
requires(refusal_of_part<T>() == Refusal::None) struct PartVerdict<T> : std::type_identity<Fine> {
};
template <class Types>
struct FirstUnfit;
template <class... Types>
struct FirstUnfit<TypeList<Types...>> : First<typename PartVerdict<Types>::type...> {};

template <class Types>
inline constexpr bool kAllPlainElements = false;
template <class... Types>
inline constexpr bool kAllPlainElements<TypeList<Types...>> = (PlainElement<Types> && ...);

template <class T, class... Above>
consteval auto examine() {
  if constexpr ((std::is_same_v<T, Above> || ...)) {
    return Fine{};  // recursive: decided further up
  } else if constexpr (constexpr auto why = own_refusal<T>(); why != Refusal::None) {
    return Verdict<T, why>{};
  } else if constexpr (PlainBytes<T>) {
    return Fine{};
  } else if constexpr (Parts<T>::kKnown) {
    using Types = typename Parts<T>::Types;
    using Inner = typename ExamineAll<Types, T, Above...>::Type;
    if constexpr (Inner::kWhy != Refusal::None || DecodesItself<T>) {
      return Inner{};
    } else if constexpr (kIsVectorOrString<T> && kAllPlainElements<Types>) {
      return Inner{};  // copied, not made and filled
    } else {
      return typename FirstUnfit<Types>::Type{};
    }
  } else if constexpr (Pointee<T>::kKnown) {
    using Object = typename Pointee<T>::Type;
    if constexpr (std::is_abstract_v<Object>) {
      return Fine{};  // what it really is, cereal's registry knows
    } else {
      using Inner = typename Examine<Object, T, Above...>::Type;
      if constexpr (Inner::kWhy != Refusal::None) {
        return Inner{};
      } else if constexpr (!std::is_default_constructible_v<Object> &&
                           !LoadedByConstruction<Object>) {
        return Verdict<Object, Refusal::NoDefaultConstructor>{};
      } else {
        return Fine{};
      }
    }
  } else if constexpr (PlainAggregate<T>) {
    using Types = FieldTypes<T>;
    if constexpr (MadeWhole<T>) {
      return typename First<typename ExamineAll<Types, T, Above...>::Type,
                            typename FirstUnfit<Types>::Type>::Type{};
    } else if constexpr (!std::is_default_constructible_v<T>) {
      return typename First<typename ExamineAll<Types, T, Above...>::Type,
                            Verdict<T, Refusal::NoDefaultConstructor>>::Type{};
    } else {
      return typename ExamineAll<Types, T, Above...>::Type{};
    }
  } else {
    return Fine{};
  }
}

template <class T, class... Above>
struct Examine {
  using Type = decltype(examine<T, Above...>());
};

template <class T>
consteval auto judge() {
  using Inner = typename Examine<T>::Type;
  if constexpr (Inner::kWhy != Refusal::None) {
    return Inner{};
  } else if constexpr (!std::is_move_constructible_v<T>) {
    return Verdict<T, Refusal::CanNotBeMoved>{};
  } else if constexpr (!std::is_default_constructible_v<T> && !PlainBytes<T> && !MadeWhole<T>) {
    return Verdict<T, Refusal::NoDefaultConstructor>{};
  } else {
    return Inner{};
  }
}

template <class T>
using Judgement = decltype(judge<std::remove_const_t<T>>());

}  // namespace picklable_detail

/// See multiprocessing::Picklable.
template <class T>
concept Picklable = picklable_detail::Judgement<T>::kWhy == Refusal::None;

}  // namespace multiprocessing::wire
