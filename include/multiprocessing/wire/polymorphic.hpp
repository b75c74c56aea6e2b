// SPDX-License-Identifier: BSL-1.0
// How an object of a registered class is read behind a pointer to its base.
//
// cereal's own way for std::unique_ptr gives the object up before it asks whether the class derives
// from the base, so bytes that name another class would leak it.
#pragma once

#include <memory>
#include <string>
#include <typeinfo>
#include <utility>

#include <multiprocessing/wire/cereal_types.hpp>
#include <multiprocessing/wire/decoder.hpp>

namespace cereal::detail {

template <class T>
struct InputBindingCreator<multiprocessing::wire::Decoder, T> {
  using Decoder = multiprocessing::wire::Decoder;
  using Bindings = InputBindingMap<Decoder>;

  InputBindingCreator() {
    auto const lock = StaticObject<Bindings>::lock();
    typename Bindings::Serializers readers;
    readers.shared_ptr = [](void* decoder, std::shared_ptr<void>& object,
                            std::type_info const& base) {
      object = PolymorphicCasters::template upcast<T>(read<std::shared_ptr<T>>(decoder), base);
    };
    readers.unique_ptr = [](void* decoder, std::unique_ptr<void, EmptyDeleter<void>>& object,
                            std::type_info const& base) {
      auto derived = read<std::unique_ptr<T>>(decoder);
      object.reset(PolymorphicCasters::template upcast<T>(derived.get(), base));
      static_cast<void>(derived.release());
    };
    StaticObject<Bindings>::getInstance().map.emplace(binding_name<T>::name(), std::move(readers));
  }

 private:
  template <class Pointer>
  static Pointer read(void* decoder) {
    Pointer pointer;
    (*static_cast<Decoder*>(decoder))(memory_detail::make_ptr_wrapper(pointer));
    return pointer;
  }
};

}  // namespace cereal::detail
