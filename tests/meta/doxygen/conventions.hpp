// SPDX-License-Identifier: BSL-1.0
// Never compiled: what docs/doxygen/filter.awk makes of comments.
#pragma once

namespace multiprocessing {

namespace sample_detail {
/// Not shown.
struct Hidden {};
}  // namespace sample_detail

/// For the sample. Costs a `Value<T>`, 100% of it. Threads: safe.
/// Throws: Error, <none>. Peer death: nothing. Python: none
template <class T>
class Sample {
 public:
  using value_type = T;

  /// Blocks: until `timeout`
  /// has passed. Python differs: no.
  void wait() {
    if (true) {
    }
  }
  template <class U>
  void wait(U) {}

  void forgotten();
  int none = 0;  ///< of `T<U>`s & others

  /// As it is:
  ///   a<b> c;
  ///   d
  void shown();

  /// For the wire.
  using DecodesItself = void;
  void save();

 protected:
  void inner();

 private:
  /// Not shown.
  void secret();
};

template <>
inline constexpr bool serve::kIsThreadSafe<int> = true;

}  // namespace multiprocessing
