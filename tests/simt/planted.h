// What:    kernels that are wrong on purpose, each with its right twin: what the executor and the sanitizers have to
//          find, and what they have to leave alone.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ostream>
#include <vector>

#include "kernels/simt/simt.h"

namespace layercost {

enum class Found {
  fault,    // a simt::Fault
  address,  // the address or the undefined-behaviour sanitizer ends the program
  race,     // ThreadSanitizer ends the program
};

struct Planted {
  const char* kernel;
  Found found;
  const char* text;  // a regular expression, of what is said about the wrong one
  void (*wrong)();
  void (*right)();
};
inline void PrintTo(const Planted& p, std::ostream* to) { *to << p.kernel; }

const std::vector<Planted>& planted();
const std::vector<Planted>& planted_sm90();

// ---- for the kernels themselves -------------------------------------------------------------------------------------

// Device memory of a test, from the heap so that the address sanitizer guards both ends.
template <class T>
class Memory {
 public:
  explicit Memory(int n) : values_(static_cast<std::size_t>(n)) {}
  T* get() { return values_.data(); }

 private:
  std::vector<T> values_;
};

// Runs two blocks of `threads`; what is wrong happens in the second.
template <class Shared, class... P>
void two_blocks(const char* name, int threads, void (*kernel)(P...), P... parameters) {
  simt::launch(name, {dim3(2), dim3(static_cast<unsigned>(threads)), sizeof(Shared)}, kernel, parameters...);
}

inline int thread() { return static_cast<int>(threadIdx.x); }
inline bool here() { return blockIdx.x == 1; }

// clang-format off
#define PLANTED(kernel, found, text) {#kernel, Found::found, text, kernel<true>, kernel<false>}
// clang-format on
#define SECOND(kernel, thread) #kernel " block \\(1, 0, 0\\) thread " thread

}  // namespace layercost
