// SPDX-License-Identifier: BSL-1.0
// What cereal knows how to take apart: all it has for the standard library, and what users teach
// it. All of it at once, so that the answer is the same in every translation unit.
#pragma once

#include <type_traits>

#include <cereal/cereal.hpp>

#include <cereal/access.hpp>
#include <cereal/types/array.hpp>
#include <cereal/types/atomic.hpp>
#include <cereal/types/base_class.hpp>
#include <cereal/types/bitset.hpp>
#include <cereal/types/chrono.hpp>
#include <cereal/types/complex.hpp>
#include <cereal/types/deque.hpp>
#include <cereal/types/forward_list.hpp>
#include <cereal/types/functional.hpp>
#include <cereal/types/list.hpp>
#include <cereal/types/map.hpp>
#include <cereal/types/memory.hpp>
#include <cereal/types/optional.hpp>
#include <cereal/types/polymorphic.hpp>
#include <cereal/types/queue.hpp>
#include <cereal/types/set.hpp>
#include <cereal/types/stack.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/tuple.hpp>
#include <cereal/types/unordered_map.hpp>
#include <cereal/types/unordered_set.hpp>
#include <cereal/types/utility.hpp>
#include <cereal/types/valarray.hpp>
#include <cereal/types/variant.hpp>
#include <cereal/types/vector.hpp>

// An archive that is only asked. In a namespace of its own, so that the real archives' rules, which
// depend on the answer, are not part of the question.
namespace multiprocessing::wire_probe {
class Output : public cereal::OutputArchive<Output> {
 public:
  Output();
};
class Input : public cereal::InputArchive<Input> {
 public:
  Input();
};
}  // namespace multiprocessing::wire_probe
CEREAL_SETUP_ARCHIVE_TRAITS(multiprocessing::wire_probe::Input, multiprocessing::wire_probe::Output)

namespace multiprocessing::wire {

namespace cereal_types_detail {

// What is derived from a container is, to cereal's functions, the container alone.
template <class T>
struct Of {};
template <class T, class A>
Of<std::vector<T, A>> container_in(std::vector<T, A> const*);
template <class T, class A>
Of<std::deque<T, A>> container_in(std::deque<T, A> const*);
template <class T, class A>
Of<std::list<T, A>> container_in(std::list<T, A> const*);
template <class T, class A>
Of<std::forward_list<T, A>> container_in(std::forward_list<T, A> const*);
template <class C, class T, class A>
Of<std::basic_string<C, T, A>> container_in(std::basic_string<C, T, A> const*);
template <class T, class C, class A>
Of<std::set<T, C, A>> container_in(std::set<T, C, A> const*);
template <class T, class C, class A>
Of<std::multiset<T, C, A>> container_in(std::multiset<T, C, A> const*);
template <class K, class V, class C, class A>
Of<std::map<K, V, C, A>> container_in(std::map<K, V, C, A> const*);
template <class K, class V, class C, class A>
Of<std::multimap<K, V, C, A>> container_in(std::multimap<K, V, C, A> const*);
template <class T, class H, class E, class A>
Of<std::unordered_set<T, H, E, A>> container_in(std::unordered_set<T, H, E, A> const*);
template <class T, class H, class E, class A>
Of<std::unordered_multiset<T, H, E, A>> container_in(std::unordered_multiset<T, H, E, A> const*);
template <class K, class V, class H, class E, class A>
Of<std::unordered_map<K, V, H, E, A>> container_in(std::unordered_map<K, V, H, E, A> const*);
template <class K, class V, class H, class E, class A>
Of<std::unordered_multimap<K, V, H, E, A>> container_in(
    std::unordered_multimap<K, V, H, E, A> const*);
template <class T, class C>
Of<std::queue<T, C>> container_in(std::queue<T, C> const*);
template <class T, class C>
Of<std::stack<T, C>> container_in(std::stack<T, C> const*);
template <class T, class C, class L>
Of<std::priority_queue<T, C, L>> container_in(std::priority_queue<T, C, L> const*);
template <class T>
Of<std::optional<T>> container_in(std::optional<T> const*);
template <class... T>
Of<std::variant<T...>> container_in(std::variant<T...> const*);
template <class... T>
Of<std::tuple<T...>> container_in(std::tuple<T...> const*);
template <class A, class B>
Of<std::pair<A, B>> container_in(std::pair<A, B> const*);
template <class T>
Of<std::shared_ptr<T>> container_in(std::shared_ptr<T> const*);
template <class T, class D>
Of<std::unique_ptr<T, D>> container_in(std::unique_ptr<T, D> const*);

template <class T>
concept DerivesFromNone = !requires(T const* object) {
  container_in(object);
};

/// Where a T is asked for it may stand, and nowhere a base of T is deduced from.
template <class T>
struct Exactly {
  operator T&() const;
};
template <class T, class Archive>
concept HasOwnMember = cereal::traits::has_member_serialize<T, Archive>::value ||
    cereal::traits::has_member_save<T, Archive>::value ||
    cereal::traits::has_member_versioned_serialize<T, Archive>::value ||
    cereal::traits::has_member_versioned_save<T, Archive>::value;
template <class T, class Archive>
concept HasOwnFree = requires(Archive& archive, Exactly<T> const& exactly) {
  serialize(archive, exactly);
}
|| requires(Archive& archive, Exactly<T> const& exactly) { save(archive, exactly); };

}  // namespace cereal_types_detail

/// A class with functions that cereal finds: serialize, or save and load, as members or beside it.
/// Those of a base in the standard library do not count.
template <class T>
concept UserSerializable = std::is_class_v<T> &&
    cereal::traits::is_output_serializable<T, wire_probe::Output>::value &&
    (cereal_types_detail::DerivesFromNone<T> ||
     cereal_types_detail::HasOwnMember<T, wire_probe::Output> ||
     cereal_types_detail::HasOwnFree<T, wire_probe::Output>);

/// ... that is not made and then filled, but constructed from what is loaded.
template <class T>
concept LoadedByConstruction = cereal::traits::has_load_and_construct<T, wire_probe::Input>::value;

}  // namespace multiprocessing::wire
