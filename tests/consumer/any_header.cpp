#include <ranges>
