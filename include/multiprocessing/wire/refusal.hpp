// SPDX-License-Identifier: BSL-1.0
// What the user reads who sends what can not be sent: one sentence for each reason, and beside it,
// from the compiler, kCanBeSent<the type that is to blame>.
#pragma once

#include <type_traits>

#include <multiprocessing/wire/picklable.hpp>

namespace multiprocessing::wire {

/// Never. Compilers print it, with its argument.
template <class Culprit>
inline constexpr bool kCanBeSent = false;

namespace refusal_detail {

template <class Culprit, Refusal why>
constexpr void explain() {
  if constexpr (why == Refusal::RawPointer) {
    static_assert(kCanBeSent<Culprit>,
                  "multiprocessing: a raw pointer can not be sent to another process, where its "
                  "address means nothing; send what it points to: the value, a std::string for "
                  "text, std::optional, std::unique_ptr or std::shared_ptr");
  } else if constexpr (why == Refusal::Reference) {
    static_assert(kCanBeSent<Culprit>,
                  "multiprocessing: a reference can not be sent to another process, which has "
                  "memory of its own; send the value");
  } else if constexpr (why == Refusal::View) {
    static_assert(kCanBeSent<Culprit>,
                  "multiprocessing: a view (std::string_view, std::span, std::initializer_list) "
                  "can not be sent to another process, because what it looks at stays behind; "
                  "send what owns the elements: std::string, std::vector or std::array");
  } else if constexpr (why == Refusal::StdFunction) {
    static_assert(kCanBeSent<Culprit>,
                  "multiprocessing: a std::function can not be sent to another process, because "
                  "it hides what it holds; send the function, lambda or function object itself, "
                  "or multiprocessing::bind(f, args...)");
  } else if constexpr (why == Refusal::CallableWithCaptures) {
    static_assert(kCanBeSent<Culprit>,
                  "multiprocessing: this callable can not be sent to another process, because it "
                  "captures a reference, `this`, a pointer, or a value that is not trivially "
                  "copyable; capture plain values ([n], not [&]), bind others with "
                  "multiprocessing::bind(f, args...), give a function object a serialize "
                  "function, or put what it needs into the items");
  } else if constexpr (why == Refusal::Array) {
    static_assert(kCanBeSent<Culprit>,
                  "multiprocessing: a C array can not be sent by itself, because functions can "
                  "not return it; use std::array, or std::string for text");
  } else if constexpr (why == Refusal::NoValue) {
    static_assert(kCanBeSent<Culprit>,
                  "multiprocessing: only values can be sent to another process: not void, and "
                  "nothing volatile");
  } else if constexpr (why == Refusal::PolicyWithState) {
    static_assert(
        kCanBeSent<Culprit>,
        "multiprocessing: a container whose comparator or hash has state, or a "
        "std::unique_ptr with a deleter of its own, can not be sent, because the receiving "
        "process makes them anew; use a comparator or hash class without members, and "
        "std::default_delete");
  } else if constexpr (why == Refusal::NoDefaultConstructor) {
    static_assert(kCanBeSent<Culprit>,
                  "multiprocessing: this type can be written but not read, because the receiving "
                  "process makes an object first and fills it then; give it a default "
                  "constructor, or send it in a smart pointer and give it cereal's "
                  "load_and_construct");
  } else if constexpr (why == Refusal::CanNotBeMoved) {
    static_assert(kCanBeSent<Culprit>,
                  "multiprocessing: this type can be neither copied nor moved, so the receiving "
                  "process can not return it; send it in a std::unique_ptr");
  } else if constexpr (why == Refusal::NoFunctions) {
    static_assert(kCanBeSent<Culprit>,
                  "multiprocessing: this class can not be sent to another process: it is neither "
                  "a plain struct nor trivially copyable, and has no functions that say how; "
                  "give it a member `template <class Archive> void serialize(Archive& archive) "
                  "{ archive(members...); }`");
  } else if constexpr (why == Refusal::OpaqueBytes) {
    static_assert(kCanBeSent<Culprit>,
                  "multiprocessing: this class can not be sent as its bytes, because it may hide "
                  "a pointer: it holds a pointer, reference or union, has no constexpr "
                  "constructor, or is large and has padding; give it a member `template <class "
                  "Archive> void serialize(Archive& archive) { archive(members...); }`");
  } else if constexpr (why == Refusal::AggregateWithBase) {
    static_assert(kCanBeSent<Culprit>,
                  "multiprocessing: the members of a struct with a base class can not be found; "
                  "make the base a member, or give it a member `template <class Archive> void "
                  "serialize(Archive& archive) { archive(members...); }`");
  } else if constexpr (why == Refusal::AggregateCanNotBeAssigned) {
    static_assert(kCanBeSent<Culprit>,
                  "multiprocessing: this struct holds a reference, a const member, or a member "
                  "that can not be moved, so the receiving process can not fill it; hold values, "
                  "without const");
  } else if constexpr (why == Refusal::AggregateWithArray) {
    static_assert(
        kCanBeSent<Culprit>,
        "multiprocessing: the members of a struct with a C array can not be found, "
        "unless it is trivially copyable, and not larger than 1 KiB where it has padding; use "
        "std::array instead of the C array");
  } else if constexpr (why == Refusal::AggregateTooLarge) {
    static_assert(kCanBeSent<Culprit>,
                  "multiprocessing: a struct of more than 100 members is not taken apart; group "
                  "them in structs, or give it a member `template <class Archive> void "
                  "serialize(Archive& archive) { archive(members...); }`");
  }
}

}  // namespace refusal_detail

/// Does not compile unless T is Picklable; the error says why not.
template <class T>
constexpr void require_picklable() {
  using Judgement = picklable_detail::Judgement<T>;
  refusal_detail::explain<typename Judgement::Culprit, Judgement::kWhy>();
}

}  // namespace multiprocessing::wire
