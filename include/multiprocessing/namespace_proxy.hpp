// SPDX-License-Identifier: BSL-1.0
// Named values of any types in a manager's process.
#pragma once

#include <any>
#include <map>
#include <stdexcept>
#include <string>
#include <typeinfo>
#include <utility>
#include <vector>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/type_name.hpp>
#include <multiprocessing/object_proxy.hpp>
#include <multiprocessing/serve/remote.hpp>
#include <multiprocessing/wire/refusal.hpp>

namespace multiprocessing {

/// A handle of named values, which Manager::Namespace() makes; as ObjectProxy: `ns["x"] = 5;
/// ns["x"].get<int>();`. Each member is one call, and happens as a whole.
/// Python: what Manager().Namespace() returns. Differs: no name is local to the proxy.
class NamespaceProxy : public proxy_detail::Base<std::map<std::string, std::any>> {
  using Values = std::map<std::string, std::any>;

 public:
  class Item;

  /// The value, to be assigned to, or read.
  Item operator[](std::string name) const;

  /// Its value from now on, whatever type it had before.
  template <class T>
  void set(std::string const& name, T const& value) const {
    wire::require_picklable<T>();
    run(
        "set",
        [](Values& values, std::string its, T new_value) {
          values.insert_or_assign(std::move(its), std::any(std::move(new_value)));
        },
        name, value);
  }
  /// A copy. Throws: std::out_of_range when there is none; TypeError when it is no T.
  template <class T>
  T get(std::string const& name) const {
    wire::require_picklable<T>();
    return run(
        "get",
        [](Values& values, std::string const& its) -> T {
          auto const found = values.find(its);
          if (found == values.end()) {
            throw std::out_of_range("NamespaceProxy: there is no \"" + its + "\"");
          }
          if (auto const* const value = std::any_cast<T>(&found->second)) return *value;
          throw TypeError("NamespaceProxy: \"" + its + "\" is a " +
                          base::type_name(found->second.type()) + ", not a " +
                          base::type_name(typeid(T)));
        },
        name);
  }
  bool contains(std::string const& name) const {
    return run(
        "contains", [](Values& values, std::string const& its) { return values.contains(its); },
        name);
  }
  /// Whether it was there.
  bool erase(std::string const& name) const {
    return run(
        "erase", [](Values& values, std::string const& its) { return values.erase(its) != 0; },
        name);
  }
  std::vector<std::string> names() const {
    return run("names", [](Values& values) {
      std::vector<std::string> all;
      for (auto const& item : values) all.push_back(item.first);
      return all;
    });
  }

  /// For the wire.
  template <class Decoder>
  static NamespaceProxy decode_from(Decoder& decoder) {
    return NamespaceProxy(serve::Remote<Values>::decode_from(decoder));
  }

 private:
  friend Manager;
  explicit NamespaceProxy(serve::Remote<Values> remote)
      : proxy_detail::Base<Values>("NamespaceProxy", std::move(remote)) {}
};

/// As long as its namespace is there.
class NamespaceProxy::Item {
 public:
  Item(Item const&) = default;
  /// Of which type? Say: ns["x"] = ns["y"].get<T>().
  Item& operator=(Item const&) = delete;
  template <class T>
  Item const& operator=(T const& value) const {
    space_->set(name_, value);
    return *this;
  }
  /// A text.
  Item const& operator=(char const* text) const { return *this = std::string(text); }

  /// Its value. Throws: as NamespaceProxy::get().
  template <class T>
  T get() const {
    return space_->get<T>(name_);
  }

 private:
  friend NamespaceProxy;
  Item(NamespaceProxy const& space, std::string name) : space_(&space), name_(std::move(name)) {}

  NamespaceProxy const* space_;
  std::string name_;
};

inline NamespaceProxy::Item NamespaceProxy::operator[](std::string name) const {
  return Item(*this, std::move(name));
}

}  // namespace multiprocessing
