// SPDX-License-Identifier: BSL-1.0
// expect: has no functions that say how
// expect: template <class Archive> void serialize(Archive& archive)
// expect: kCanBeSent<Account>
#include <mutex>

#include <multiprocessing/pickle.hpp>

class Account {
 public:
  int balance() const { return balance_; }

#ifndef WRONG
  template <class Archive>
  void serialize(Archive& archive) {
    archive(balance_);
  }
#endif

 private:
  std::unique_ptr<std::mutex> mutex_ = std::make_unique<std::mutex>();
  int balance_ = 0;
};

multiprocessing::Bytes use(std::vector<Account> const& accounts) {
  return multiprocessing::dumps(accounts);
}
