// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/shm/noting_pointer.hpp>

#include <array>
#include <cstddef>
#include <new>
#include <type_traits>

#include "../support/catch.hpp"
#include "../support/changing.hpp"

namespace noting_pointer_test {

using multiprocessing::shm::CurrentChange;
using multiprocessing::shm::NotingPointer;

namespace {
using Pointer = NotingPointer<int>;
using Bits = boost::intrusive::pointer_plus_bits<Pointer, 1>;
static_assert(boost::intrusive::max_pointer_plus_bits<NotingPointer<void>, 8>::value >= 1,
              "trees keep their colours in the pointers");
static_assert(std::is_convertible_v<Pointer, NotingPointer<int const>>);
static_assert(std::is_convertible_v<Pointer, NotingPointer<void>>);
static_assert(!std::is_convertible_v<NotingPointer<int const>, Pointer>);

struct Numbers {
  std::array<int, 4> numbers{1, 2, 3, 4};
  Pointer pointer{&numbers[0]};
};
}  // namespace

TEST_CASE("a pointer points, is null, and is compared", "[noting_pointer]") {
  std::array<int, 2> numbers{1, 2};
  Pointer pointer(&numbers[0]);
  Pointer const null = nullptr;
  CHECK(*pointer == 1);
  CHECK(pointer);
  CHECK(!null);
  CHECK(null == nullptr);
  auto const copy = pointer;  // at another address
  CHECK(copy == pointer);
  CHECK(copy.get() == numbers.data());
  pointer = &numbers[1];
  CHECK(*pointer == 2);
  CHECK(copy != pointer);
  pointer = nullptr;
  CHECK(!pointer);
  NotingPointer<void> const any = copy;
  CHECK(Pointer::static_cast_from(any) == copy);
  CHECK(Pointer::const_cast_from(NotingPointer<int const>(copy)) == copy);
  CHECK(Pointer::pointer_to(numbers[1]).get() == &numbers[1]);
}

TEST_CASE("bits beside a pointer are no part of it", "[noting_pointer]") {
  alignas(8) int number = 0;
  alignas(8) int other = 0;
  Pointer pointer(&number);
  CHECK(Bits::get_bits(pointer) == 0);
  Bits::set_bits(pointer, 1);
  CHECK(Bits::get_bits(pointer) == 1);
  CHECK(Bits::get_pointer(pointer).get() == &number);
  Bits::set_pointer(pointer, Pointer(&other));
  CHECK(Bits::get_bits(pointer) == 1);
  CHECK(Bits::get_pointer(pointer).get() == &other);
  Bits::set_pointer(pointer, Pointer());
  CHECK(Bits::get_bits(pointer) == 1);
  CHECK(!Bits::get_pointer(pointer));
}

TEST_CASE("a pointer that is overwritten in a change is put back", "[noting_pointer]") {
  support::Changing const it;
  Numbers* shared = nullptr;
  it.run([&] {
    shared = new (CurrentChange::of_this_thread().take(sizeof(Numbers))) Numbers;
    Bits::set_bits(shared->pointer, 0);
  });
  it.run_and_undo([&] {
    shared->pointer = &shared->numbers[1];
    shared->pointer = Pointer(&shared->numbers[2]);
    shared->pointer = nullptr;
    Bits::set_bits(shared->pointer, 1);
    Bits::set_pointer(shared->pointer, Pointer(&shared->numbers[3]));
  });
  CHECK(Bits::get_bits(shared->pointer) == 0);
  CHECK(shared->pointer.get() == &shared->numbers[0]);
  it.run([&] { shared->pointer = &shared->numbers[1]; });
  CHECK(*shared->pointer == 2);
}

}  // namespace noting_pointer_test
