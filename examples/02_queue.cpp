// SPDX-License-Identifier: BSL-1.0
// A producer fills a queue, and the main process drains it.
#include <iostream>
#include <string>

#include <multiprocessing/process.hpp>
#include <multiprocessing/queue.hpp>

namespace mp = multiprocessing;

struct Order {  // any copyable struct of plain members and standard types can be sent
  int number;
  std::string item;
};

void produce(mp::Queue<Order> const& orders) {
  int number = 0;
  for (auto const* item : {"apples", "pears", "plums", "quinces"}) orders.put({++number, item});
  orders.shutdown();  // no more will come; what is in the queue can still be got
}

int main() {
  mp::Queue<Order> orders(2);  // a producer that is two ahead waits
  mp::Process producer(produce, orders);
  producer.start();
  for (auto const& order : orders) std::cout << order.number << ": " << order.item << '\n';
  producer.join();
  std::cout << "left in the queue: " << orders.qsize() << '\n';
}
