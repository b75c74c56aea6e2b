// SPDX-License-Identifier: BSL-1.0
// expect: this type can be written but not read
// expect: load_and_construct
// expect: kCanBeSent<Account>
#include <string>

#include <multiprocessing/pickle.hpp>

class Account {
 public:
  explicit Account(std::string owner) : owner_(std::move(owner)) {}
#ifndef WRONG
  Account() = default;
#endif
  template <class Archive>
  void serialize(Archive& archive) {
    archive(owner_);
  }

 private:
  std::string owner_;
};

Account use(multiprocessing::Bytes const& bytes) { return multiprocessing::loads<Account>(bytes); }
