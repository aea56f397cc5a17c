// Makes a failing trace short.
#pragma once

#include <functional>
#include <vector>

namespace millrace::simulation {

// Leaves out of `steps` whatever can be left out while `fails` stays true, a large part at first, then
// smaller ones, down to single steps (Zeller's delta debugging). Asks `fails` at most `tries_max` times; it
// need not be true for `steps` itself once more.
std::vector<int> shrink(std::vector<int> steps, const std::function<bool(const std::vector<int>&)>& fails,
                        int tries_max);

}  // namespace millrace::simulation
